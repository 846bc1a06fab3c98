"""The world at the edges: one module for each outside system."""
