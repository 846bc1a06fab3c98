"""Gathers the facts that `doctor` judges: one module for each place that has some."""
