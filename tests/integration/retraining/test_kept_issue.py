"""One issue that is kept up to date, on GitHub and on Gitea: never a second one, never a stranger's."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from retraining_names import BOT, EVE, NAME, PERSON

from model_gitops.adapters.github_client import ForbiddenError
from model_gitops.adapters.issues import Issues
from model_gitops.adapters.kept_issue import Kept, KeptIssue
from model_gitops.core.report import kept as texts
from model_gitops_local.forge import Forge


def issues(server: Forge, token: str = BOT) -> Issues:
    return Issues(NAME, token, api_url=server.api_url)


def one(server: Forge, token: str = BOT, key: str = "retrain") -> KeptIssue:
    return KeptIssue(issues(server, token), key)


def there(server: Forge) -> list[tuple[int, str, str]]:
    found = server.state.repositories[NAME].issues
    return [(one.number, one.author, one.state) for one in found]


@pytest.mark.parametrize("token", [BOT, PERSON])
def test_it_is_opened_updated_closed_and_opened_anew(server: Forge, token: str) -> None:
    first = one(server, token).keep("Drift", "see https://x/actions/runs/1")
    assert (first.operation, first.number) == ("opened", 1)
    assert first.url.endswith(f"/{NAME}/issues/1")
    # The same but for the run is no news.
    assert one(server, token).keep("Drift", "see https://x/actions/runs/2").operation == "none"
    assert one(server, token).keep("Drift", "more") == Kept("updated", 1, first.url)
    found = one(server, token).find()
    assert found
    assert found.body == "more\n\n<!-- model-gitops:retrain -->\n"
    assert one(server, token, "health").keep("Slow", "x").number == 2
    assert one(server, token).close("It is gone.") == Kept("closed", 1, first.url)
    assert one(server, token).close("It is gone.") == Kept("none")
    assert one(server, token).find() is None
    assert [each.body for each in issues(server).comments.list_comments(1)] == ["It is gone."]
    assert one(server, token).keep("Drift", "again").number == 3
    assert [state for _, _, state in there(server)] == ["closed", "open", "open"]


def test_what_a_stranger_marks_is_left_alone(server: Forge) -> None:
    trap = issues(server, EVE).create("Drift", texts.marked("mine", "retrain"))
    assert one(server).find() is None
    assert one(server).close("gone") == Kept("none")
    assert one(server).keep("Drift", "ours").number == 2
    assert one(server).keep("Drift", "ours, newer").operation == "updated"
    assert one(server).close("gone").number == 2
    assert there(server)[0] == (trap.number, "eve", "open")
    assert issues(server).comments.list_comments(trap.number) == []
    body = server.state.repositories[NAME].issues[0].body
    assert body == texts.marked("mine", "retrain")


def test_runs_at_once_end_with_one(server: Forge) -> None:
    start, done = threading.Barrier(4), []

    def run() -> None:
        kept = one(server)
        kept.find()
        start.wait()
        done.append(kept.keep("Drift", "text"))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    open_ones = [number for number, _, state in there(server) if state == "open"]
    assert open_ones == [1]
    assert [each.number for each in done] == [1] * 4
    assert [each.operation for each in done].count("opened") == 1
    assert one(server).keep("Drift", "text").operation == "none"


def test_another_that_came_first_is_updated_and_ours_is_closed(server: Forge) -> None:
    """Both looked before either made one."""
    kept = one(server)
    real = kept._issues.create

    def late(*args: Any) -> Any:
        one(server).keep("Drift", "theirs")
        return real(*args)

    kept._issues.create = late  # type: ignore[method-assign]
    assert kept.keep("Drift", "ours").operation == "updated"
    first, second = server.state.repositories[NAME].issues
    assert (first.state, second.state) == ("open", "closed")
    assert (first.body, second.body) == (texts.marked("ours", "retrain"), "Duplicate of #1.")


def test_doubles_that_a_killed_run_left_are_closed_by_the_next(server: Forge) -> None:
    for text in ("a", "b", "c"):
        issues(server).create("Drift", texts.marked(text, "retrain"))
    assert one(server).keep("Drift", "a").operation == "none"
    assert [state for _, _, state in there(server)] == ["open", "closed", "closed"]


def test_a_run_that_was_killed_between_comment_and_close_is_finished(server: Forge) -> None:
    one(server).keep("Drift", "a")
    issues(server).comments.create_comment(1, "It is gone.")
    assert one(server).close("It is gone.").operation == "closed"
    assert len(issues(server).comments.list_comments(1)) == 1


def test_it_is_found_among_many_and_not_among_pull_requests(server: Forge) -> None:
    # More than two pages of either server.
    one(server).keep("Drift", "a")
    for number in range(101):
        issues(server).create(f"Other {number}", "text")
    assert one(server).keep("Drift", "b").number == 1
    assert len(issues(server).open_ones()) == 102


def test_answers_that_are_lost_make_no_second_one(server: Forge) -> None:
    server.drop_next("POST", "/issues$", when="after")
    assert one(server).keep("Drift", "a").number == 1
    assert [state for _, _, state in there(server)] == ["open", "closed"]


def test_a_token_that_may_not_write_says_which_permission_it_lacks(server: Forge) -> None:
    server.add_token("reader", "ada", {"contents": "read", "issues": "read"})
    with pytest.raises(ForbiddenError) as refused:
        one(server, "reader").keep("Drift", "a")
    assert "issue" in refused.value.fix
