"""Measures the actions beside the plain tools: `python -m benchmarks.run`."""
