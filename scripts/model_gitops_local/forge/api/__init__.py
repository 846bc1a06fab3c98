"""GitHub's REST API: each route is a path template of GitHub's own OpenAPI description.

A resource is one file here, with its `routes`, and its line in `dispatch.RESOURCES`.
"""
