"""Commands for a person's machine that are no step of a workflow: one module each."""

# As in actions/__init__.py: each name is the module <name_with_underscores> beside this file.
COMMANDS = {
    "merge-lock": "Merge dvc.lock by stages, as a merge driver of Git.",
}
