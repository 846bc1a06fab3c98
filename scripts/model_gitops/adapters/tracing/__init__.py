"""Gathers the facts of a lineage, each from the place that keeps it."""
