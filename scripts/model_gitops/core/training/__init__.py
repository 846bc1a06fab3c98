"""The training pipeline's runs: which of them are evidence that a set of images trains well."""
