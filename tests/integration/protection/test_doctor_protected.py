"""What `protect` sets is ✓ in `doctor`; one setting that is loosened is its check's ✗, and `protect` mends it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from protect_world import DEPLOY, MODEL, guard, rule

from model_gitops import __main__ as program
from model_gitops.adapters import process
from model_gitops_local.forge import Forge

# All that is asked of the server, with what each says where it is in order.
SERVER = (
    "token", "branch-protection", "tag-rule", "merge-methods", "environments", "reviewers", "secrets",
    "secrets-scope", "actions-permissions", "deploy-branch-protection",
)  # fmt: skip
ALICE = [{"type": "User", "name": "alice"}]


@pytest.fixture
def clone(tmp_path: Path, bares: dict[str, Path]) -> Path:
    """A clone of the model repository with its rules alone: what else lies in it is not judged here."""
    folder = tmp_path / "clone"
    process.run(["git", "clone", "--quiet", "--no-checkout", bares[MODEL], folder])
    process.run(["git", "-C", folder, "checkout", "--quiet", "main", "--", "promotion.yaml"])
    return folder


@pytest.fixture
def complete(settled: Forge) -> Iterator[Forge]:
    """Both repositories protected, with the secrets and the reviewer that a person adds."""
    found = guard(settled)
    found.secrets = {"": ["DEPLOY_READ_TOKEN"]}
    found.secrets |= {name: ["DEPLOY_TOKEN"] for name in found.environments}
    found.environments["production"]["reviewers"] = ALICE
    yield settled


def marks(
    clone: Path, forge: Forge, capsys: pytest.CaptureFixture[str], token: str = "admin"
) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    origin = f"{forge.url}/{MODEL}.git"
    process.run(["git", "-C", clone, "remote", "set-url", "origin", origin])
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(clone):
        for name in [one for one in os.environ if one.startswith("GITHUB_")]:
            patch.delenv(name)
        patch.setenv("GITHUB_SERVER_URL", forge.url)
        patch.setenv("GITHUB_API_URL", forge.api_url)
        patch.setenv("MODEL_GITOPS_TOKEN", token)
        program.main(["doctor", "--json", "--deploy", str(clone)])
    found = json.loads(capsys.readouterr().out)
    return {one["check"]: one for one in found if one["check"] in SERVER}


def drop(ruleset: str, kind: str, repository: str = MODEL) -> Callable[[Forge], None]:
    def loosen(forge: Forge) -> None:
        found = next(one for one in guard(forge, repository).rulesets if one["name"] == ruleset)
        found["rules"] = [one for one in found["rules"] if one["type"] != kind]

    return loosen


def methods(forge: Forge) -> None:
    said = rule(forge, "model-gitops: staging", "pull_request")["parameters"]
    said["allowed_merge_methods"] = ["merge", "squash"]


# What is loosened at once: nothing of one round is what another one's check looks at.
ROUNDS: tuple[dict[str, Callable[[Forge], object]], ...] = (
    {
        "branch-protection": drop("model-gitops: staging", "non_fast_forward"),
        "tag-rule": drop("model-gitops: tags", "update"),
        "environments": lambda forge: (
            guard(forge).environments["dev"].update(deployment_branch_policy=None, policies=[])
        ),
        "secrets-scope": lambda forge: guard(forge).secrets.update(
            {"": ["DEPLOY_READ_TOKEN", "DEPLOY_TOKEN"]}
        ),
    },
    {
        "merge-methods": methods,
        "reviewers": lambda forge: guard(forge).environments["production"].pop("reviewers"),
        "secrets": lambda forge: guard(forge).secrets.update({"staging": []}),
        "actions-permissions": lambda forge: guard(forge).workflow.update(
            default_workflow_permissions="write"
        ),
        "deploy-branch-protection": drop("model-gitops: main", "non_fast_forward", DEPLOY),
    },
)


def test_what_protect_sets_is_in_order(
    clone: Path, complete: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    found = marks(clone, complete, capsys)
    assert [one for one in found.values() if one["ok"] is not True] == []
    assert tuple(found) == SERVER


@pytest.mark.parametrize("broken", ROUNDS, ids=lambda broken: next(iter(broken)))
def test_what_is_loosened_is_its_checks_cross_and_protect_mends_it(
    broken: dict[str, Callable[[Forge], object]],
    clone: Path,
    complete: Forge,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for loosen in broken.values():
        loosen(complete)
    found = marks(clone, complete, capsys)
    wrong = {name: one for name, one in found.items() if one["ok"] is False}
    assert set(wrong) == set(broken), found
    assert all(one["fix"] for one in wrong.values())
    # A person's: who reviews, and which secret is where.
    by_hand = {"reviewers", "secrets", "secrets-scope"}
    assert all(
        str(wrong[one]["fix"]).startswith("gh secret ")
        for one in {"secrets", "secrets-scope"} & set(wrong)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_SERVER_URL", complete.url)
        patch.setenv("GITHUB_API_URL", complete.api_url)
        for fix in {
            str(wrong[one]["fix"]) for one in wrong if one not in {"secrets", "secrets-scope"}
        }:
            words = fix.replace("LOGIN", "alice").split()
            patch.setenv("MODEL_GITOPS_TOKEN", "admin")
            # Before it stands how this program was started.
            assert program.main([*words[words.index("protect") :], "--yes"]) == 0
    again = marks(clone, complete, capsys)
    left = {name for name, one in again.items() if one["ok"] is False}
    assert left == set(broken) & by_hand - {"reviewers"}


def test_a_token_that_sees_little_is_told_what_it_lacks(
    clone: Path, complete: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    complete.add_token("little", "alice", {"contents": "read"})
    found = marks(clone, complete, capsys, token="little")
    assert found["token"]["ok"] is True
    assert {one["ok"] for name, one in found.items() if name != "token"} == {None}
    assert "administration: read" in str(found["branch-protection"]["fix"])
    told = [one["found"] for one in found.values()]
    assert sum("refused" in str(one) for one in told) <= 2, told
