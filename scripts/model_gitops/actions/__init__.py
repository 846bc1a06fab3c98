"""One module an action: read inputs, decide (core), act (adapters), write outputs."""

# Each name is also the folder actions/<name> and the module <name_with_underscores> beside this file.
# The help texts stand here so that listing them imports no action.
ACTIONS = {
    "run-command": "Run the project's own commands, as promotion.yaml names them.",
    "check-promotion": "Say whether this hop is allowed, and what it promotes.",
    "changed-models": "Say which models a change touches.",
    "changed-components": "Say which components of the training pipelines are to be built.",
    "dvc-pull-model": "Pull one model, and nothing else, from the DVC remote.",
    "compare-models": "Measure champion and candidate on the same data, by the base's own code.",
    "gate-metrics": "Refuse a candidate that is worse than what its target runs.",
    "gto-register-stage": "Register a model version, and assign it to a stage.",
    "build-push-image": "Build, smoke-test and push the image that serves a model.",
    "push-model": "Push a model as an OCI artifact, beside the image, and sign it.",
    "bump-kustomize-tag": "Set the image in an overlay of the deploy repository.",
    "cml-report": "Report metrics, params and plots as one comment.",
    "trace-model": "Say which data, code and approvals made what is live, and verify every link.",
    "status": "Show what each environment runs, if all agrees, and what waits.",
    "verify-deployment": "Wait until a deployment runs, test it, and write a commit status.",
    "run-training": "Train with the images of an overlay, and say whether that ended well.",
    "rollback": "Go back to the last good version of an environment, and hold it there.",
    "hold-environment": "Hold an environment so that it takes no promotion, or release it.",
    "gate-drift": "Say whether the data drifted in so many of the last windows, from any JSON.",
    "open-retraining": "Keep one issue, one branch and one pull request of a retraining.",
    "pipeline-health": "Say whether the workflows run, are green, and how changes are delivered.",
    "notify": "Tell people, by any service that apprise knows or by a signed JSON POST.",
}
