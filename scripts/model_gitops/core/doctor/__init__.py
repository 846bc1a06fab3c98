"""What `doctor` judges: facts of a repository and its places in, findings out."""
