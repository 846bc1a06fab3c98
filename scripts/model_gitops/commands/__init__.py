"""Commands for a person's machine that are no step of a workflow: one module each."""

# As in actions/__init__.py: each name is the module <name_with_underscores> beside this file, and the
# extra of that name in pyproject.toml. run.sh reads the names and sentences from here.
# command_line.py is none: it reads what a person types, for these and for the actions.
COMMANDS = {
    "adopt": "Bring a DVC repository into the flow: find what is there, add the rest.",
    "doctor": "Check that all is set up for promotions, and say what to type where not.",
    "init": "Make a model repository and its deploy repository from the templates.",
    "update": "Merge what later templates change into a repository of yours.",
    "merge-lock": "Merge dvc.lock by stages, as a merge driver of Git.",
    "fetch-training": "Fetch what a training outside of Git starts from: params and data.",
    "record-training": "Bring what a training outside of Git made into it, by a pull request.",
    "protect": "Protect a flow's repositories as promotion.yaml wants it, or check it.",
}
