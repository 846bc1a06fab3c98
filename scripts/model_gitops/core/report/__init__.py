"""The report of a pull request, and the comment that it becomes."""
