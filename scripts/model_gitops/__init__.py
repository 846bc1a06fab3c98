"""model-gitops: carry a model from an experiment branch to production, with Git as the truth."""
