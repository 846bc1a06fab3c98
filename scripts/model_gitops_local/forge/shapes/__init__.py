"""The JSON that GitHub answers with, a file for each resource."""
