"""GitHub's REST API, a file for each resource."""
