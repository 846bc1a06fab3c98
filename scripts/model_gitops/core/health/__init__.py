"""The pipeline's own health: its runs, and what Git says of deployments."""
