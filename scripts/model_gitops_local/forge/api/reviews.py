"""Reviews of pull requests."""

from __future__ import annotations

from model_gitops_local.forge.api.answers import Answer, ApiError, check_length
from model_gitops_local.forge.api.routing import PULL, Call, Context, Routes, issue_of, pull_of
from model_gitops_local.forge.state import Review, now

routes = Routes()


@routes.add("GET", f"{PULL}/reviews", "pull_requests:read")
def list_reviews(api: Context, call: Call) -> Answer:
    """List the reviews of a pull request."""
    issue = issue_of(call, "pull_number")
    shapes = [
        api.shapes.review(call.repository, review)
        for review in call.repository.reviews
        if review.number == issue.number
    ]
    return api.page(call, shapes, f"/pulls/{issue.number}/reviews")


@routes.add("POST", f"{PULL}/reviews", "pull_requests:write")
def create_review(api: Context, call: Call) -> Answer:
    """Review a pull request; nobody approves their own."""
    issue = issue_of(call, "pull_number")
    event = call.text("event") or "PENDING"
    states = {
        "APPROVE": "APPROVED",
        "REQUEST_CHANGES": "CHANGES_REQUESTED",
        "COMMENT": "COMMENTED",
        "PENDING": "PENDING",
    }
    if event not in states:
        raise ApiError(422, f"Invalid request.\n\nNo such event: {event}")
    if event == "APPROVE" and issue.author == call.actor:
        raise ApiError(422, "Unprocessable Entity: Can not approve your own pull request")
    body = check_length(call.text("body") or "", "PullRequestReview")
    sha = call.text("commit_id") or pull_of(issue).head_sha
    review = Review(api.state.new_id(), issue.number, call.actor, body, states[event], sha, now())
    call.repository.reviews.append(review)
    return Answer(200, api.shapes.review(call.repository, review))
