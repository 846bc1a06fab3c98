"""`protect` against the stand-ins: what a run sets, keeps, refuses and says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from protect_world import DEPLOY, MODEL, Run, guard, rule, runner, serve, writes

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.adapters.github_client import Client
from model_gitops.adapters.protection import repositories
from model_gitops.core.protection.wanted import Asked
from model_gitops_local.forge import Forge
from model_gitops_local.forge.gitea import strict_gitea


def test_a_run_between_two_looks_leaves_nothing_to_change(run: Run, forge: Forge) -> None:
    code, said = run("--dry-run", "--deployer", "app:deployer")
    assert code == 0
    assert "branch main: not protected yet" in said
    assert "Check, gate, build; Check, gate, build a fork's change" in said
    assert "gh secret set DEPLOY_TOKEN --repo acme/diabetes --env production" in said
    assert not writes(forge)

    code, said = run("--yes", "--deployer", "app:deployer")
    assert code == 0, said
    assert "all is set" in said

    before = writes(forge)
    code, said = run("--dry-run")
    assert code == 0
    assert said.count("nothing to change") == 2
    assert run("--yes")[0] == 0
    assert writes(forge) == before
    assert run("--check")[0] == 0

    # What is there now, as the server has it.
    pulls = rule(forge, "model-gitops: staging", "pull_request")["parameters"]
    assert pulls["allowed_merge_methods"] == ["merge"]
    assert pulls["required_approving_review_count"] == 1
    first = rule(forge, "model-gitops: main", "pull_request")["parameters"]
    assert "allowed_merge_methods" not in first
    checks = rule(forge, "model-gitops: production", "required_status_checks")["parameters"]
    assert {one["context"] for one in checks["required_status_checks"]} == {
        "Check and test the project",
        "Check, gate, build",
        "Check and test a fork's change",
        "Check, gate, build a fork's change",
    }
    assert {one["integration_id"] for one in checks["required_status_checks"]} == {15368}
    tags = next(one for one in guard(forge).rulesets if one["target"] == "tag")
    assert {"refs/tags/*@v*", "refs/tags/*#*", "refs/tags/v*"} <= set(
        tags["conditions"]["ref_name"]["include"]
    )
    # A stage's tag is added by the workflow.
    assert {one["type"] for one in tags["rules"]} == {"update", "deletion", "non_fast_forward"}
    environments = guard(forge).environments
    assert {
        name: [policy["name"] for policy in one["policies"]] for name, one in environments.items()
    } == {"dev": ["main"], "staging": ["staging"], "production": ["production"]}
    safe, by_pull = guard(forge, DEPLOY).rulesets
    assert safe["bypass_actors"] == []
    assert [one["actor_type"] for one in by_pull["bypass_actors"]] == ["Integration"]


def test_a_plan_without_rule_sets_gets_the_older_protection_and_keeps_the_rest_of_it(
    run: Run, forge: Forge
) -> None:
    for name in (MODEL, DEPLOY):
        guard(forge, name).plan = "classic"
    guard(forge).branches["staging"] = {
        "required_status_checks": {"strict": True, "contexts": ["lint"]},
        "enforce_admins": False,
        "required_pull_request_reviews": {
            "required_approving_review_count": 2,
            "dismissal_restrictions": {"users": ["bob"], "teams": ["owners"]},
            "bypass_pull_request_allowances": {"users": ["eve"], "teams": [], "apps": []},
        },
        "restrictions": {"users": [], "teams": ["owners"], "apps": ["deployer"]},
        "required_linear_history": True,
        "required_conversation_resolution": True,
        "allow_force_pushes": True,
    }
    code, said = run("--yes", "--deployer", "app:deployer")
    assert code == 0, said
    assert "tags can't be protected here" in said
    assert run("--check")[0] == 0
    assert "nothing to change" in run("--dry-run")[1]
    made = guard(forge).branches["staging"]
    reviews = made["required_pull_request_reviews"]
    assert reviews["required_approving_review_count"] == 2
    assert reviews["dismissal_restrictions"] == {"users": ["bob"], "teams": ["owners"], "apps": []}
    assert reviews["bypass_pull_request_allowances"] == {"users": [], "teams": [], "apps": []}
    assert made["restrictions"] == {"users": [], "teams": ["owners"], "apps": ["deployer"]}
    assert made["required_conversation_resolution"] is True
    assert made["enforce_admins"] is True
    assert (made["required_linear_history"], made["allow_force_pushes"]) == (False, False)
    assert made["required_status_checks"]["strict"] is False
    listed = {(one["context"], one["app_id"]) for one in made["required_status_checks"]["checks"]}
    assert {("lint", -1), ("Check, gate, build", 15368)} <= listed
    # Merge methods are the whole repository's there.
    assert guard(forge).merge == {
        "allow_merge_commit": True, "allow_squash_merge": False, "allow_rebase_merge": False,
    }  # fmt: skip
    deployed = guard(forge, DEPLOY).branches["main"]["required_pull_request_reviews"]
    assert deployed["bypass_pull_request_allowances"]["apps"] == ["deployer"]

    main = guard(forge).branches["main"]
    main.update(enforce_admins=False, allow_deletions=True, required_pull_request_reviews=None)
    code, said = run("--check")
    assert code == 3
    told = said.rpartition("not what promotion.yaml wants")[2]
    assert "who may bypass is admins, not none" in told
    assert "deletion is blocked is no" in told
    assert "changes by pull request only is no" in told


def test_nothing_is_changed_without_a_yes(run: Run, forge: Forge) -> None:
    code, said = run()
    assert code == 3
    assert "branch main: not protected yet" in said
    assert "nobody said yes" in said
    assert run("--dry-run", "--yes")[0] == 2
    assert not writes(forge)


def test_one_refusal_holds_back_no_other_setting_and_a_rerun_completes(
    run: Run, forge: Forge
) -> None:
    forge.fail_next("POST", "/repos/acme/diabetes/rulesets$", 403, body={"message": "Forbidden"})
    code, said = run("--yes")
    assert code == 4
    assert "not set: acme/diabetes, branch main" in said
    assert "set: acme/diabetes, environment production" in said
    # The server has made it, and the answer is lost: it is asked again, and finds its own.
    forge.drop_next("POST", "/repos/acme/diabetes/rulesets$", when="after")
    code, said = run("--yes")
    assert code == 0, said
    assert run("--check")[0] == 0
    assert len(guard(forge).rulesets) == 4


def test_a_deploy_repository_that_can_not_be_seen_holds_back_nothing_and_is_not_forgotten(
    run: Run, forge: Forge
) -> None:
    forge.add_token("half", "alice", repositories=[MODEL])
    code, said = run("--dry-run", token="half")
    assert (code, "the deploy repository is left out" in said) == (0, True)
    code, said = run("--yes", token="half")
    assert code == 4
    assert "--deploy false" in said
    assert run("--yes", "--deploy", "false", token="half")[0] == 0
    assert run("--check", "--deploy", "false", token="half")[0] == 0
    assert run("--check", token="half")[0] == 4


def test_a_token_that_reads_is_enough_for_a_check_and_says_what_it_can_not_see(
    settled: Forge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(settled, monkeypatch, capsys)
    code, said = run("--check", "--deploy", "false", token="reader")
    assert code == 0
    assert "branch main: who may bypass" in said
    guard(settled, DEPLOY).rulesets[-1]["enforcement"] = "disabled"
    code, said = run("--check", token="reader")
    assert code == 3
    assert "branch main, by pull request: rule set is in force for it is no" in said
    assert "takes pushes of everybody" not in said
    settled.add_token("blind", "alice", {"contents": "read", "actions": "read"})
    code, said = run("--check", "--deploy", "false", token="blind")
    assert code == 4
    assert "workflows' token reads by default" in said.rpartition("may not see")[2]
    assert "secrets that each branch's workflow can read" in said.rpartition("may not see")[2]
    code, said = run("--yes", "--deploy", "false", token="blind")
    assert code == 4
    assert "nothing to change in what can be seen" in said


@pytest.mark.parametrize(
    ("words", "given", "code", "told"),
    [
        ([], {"token": ""}, 2, "MODEL_GITOPS_TOKEN"),
        ([], {"token": "expired"}, 4, "401"),
        ([], {"repository": "acme/none"}, 4, "404"),
        ([], {"repository": "none"}, 2, "owner/name"),
        ([], {"repository": "acme/.."}, 2, "no repository of"),
        ([], {"repository": "https://other.example/acme/diabetes"}, 2, "GITHUB_SERVER_URL"),
        (["--deploy-branch", "mian"], {}, 2, "no such branch"),
        (["--reviewer", "prod=alice"], {}, 2, "no such environment"),
        (["--reviewer", "a b"], {}, 2, "no account"),
        (["--deployer", "somebody"], {}, 2, "app:NAME"),
        (["--deployer", "app:no-such"], {}, 2, "no such account"),
        (["--config", "models/none.yaml"], {}, 2, "no such file"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    words: list[str], given: dict[str, Any], code: int, told: str, run: Run, forge: Forge
) -> None:
    found, said = run("--yes", *words, **given)
    assert (found, told in said) == (code, True), said
    assert not writes(forge)


def test_reviewers_are_added_to_those_that_are_there(run: Run, forge: Forge) -> None:
    words = ("--reviewer", "production=Alice\nproduction=acme/owners", "--deploy", "false")
    assert run("--yes", *words)[0] == 0
    found = guard(forge).environments
    assert [one["name"] for one in found["production"]["reviewers"]] == ["acme/owners", "alice"]
    assert not found["dev"]["reviewers"]
    assert run("--check", *words)[0] == 0
    assert run("--check", "--reviewer", "bob", "--deploy", "false")[0] == 3


def test_before_the_first_push_the_files_of_the_folder_count(
    run: Run, forge: Forge, bares: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, bare = tmp_path / "work", tmp_path / "empty.git"
    process.run(["git", "clone", "--quiet", bares[MODEL], work])
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    forge.add_repository("acme/new", bare)
    monkeypatch.chdir(work)
    code, said = run("--dry-run", "--deploy", "false", repository="acme/new")
    assert code == 0, said
    assert "Check, gate, build; Check, gate, build a fork's change" in said
    assert "git push origin main:production" in said
    assert "CODEOWNERS" not in said
    git = Git(work)
    for origin, of_it in (
        ("https://git.example/acme/new.git", 0),
        ("git@git.example:acme/other.git", 2),
    ):
        git.run("remote", "set-url", "origin", origin)
        code, said = run("--dry-run", "--deploy", "false", repository="acme/new")
        assert (code, "is of another repository" in said) == (of_it, of_it == 2), said
    git.run("remote", "remove", "origin")
    assert run("--yes", "--deploy", "false", repository="acme/new")[0] == 0
    checks = rule(forge, "model-gitops: production", "required_status_checks", "acme/new")
    assert checks["parameters"]["do_not_enforce_on_create"] is True
    assert run("--check", "--deploy", "false", repository="acme/new")[0] == 0
    process.run(
        ["git", "-C", work, "push", "--quiet", bare, "main", "main:staging", "main:production"]
    )
    assert run("--check", "--deploy", "false", repository="acme/new")[0] == 0


def test_the_file_may_be_named_from_a_folder_of_the_checkout(
    run: Run, forge: Forge, bares: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, bare = tmp_path / "work", tmp_path / "several.git"
    process.run(["git", "clone", "--quiet", "--bare", bares[MODEL], bare])
    process.run(["git", "clone", "--quiet", bare, work])
    forge.add_repository("acme/several", bare)
    git = Git(work)
    (work / "churn").mkdir()
    git.run("mv", "promotion.yaml", "churn/promotion.yaml")
    (work / "fraud").mkdir()
    (work / "fraud/promotion.yaml").write_text((work / "churn/promotion.yaml").read_text())
    git.run("add", "--all")
    git.run("-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "-m", "Move")
    git.run("push", "--quiet", "origin", "HEAD:main")
    # What is not merged does not count, wherever the file is named from.
    (work / "churn/promotion.yaml").write_text("{}")
    monkeypatch.chdir(work / "fraud")
    for config in ("churn/", "../churn", str(work / "churn"), "./churn/promotion.yaml"):
        code, said = run(
            "--dry-run", "--deploy", "false", "--config", config, repository="acme/several"
        )
        assert (code, "the files of this folder count" in said) == (0, False), (config, said)
    monkeypatch.chdir(work)
    code, said = run("--dry-run", "--deploy", "false", repository="acme/several")
    assert (code, "config: one of churn, fraud" in said) == (2, True), said


def test_two_at_once_both_end_well(run: Run, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second writer's rule sets are there already when the first one makes them."""
    first = run("--dry-run", "--deploy", "false")
    assert first[0] == 0
    monkeypatch.setenv("MODEL_GITOPS_TOKEN", "admin")
    made = repositories.model(Client(MODEL, "admin"), "promotion.yaml", Asked())
    assert run("--yes", "--deploy", "false")[0] == 0
    before = len(guard(forge).rulesets)
    for subject in made.desired.subjects:
        made.write(subject)
    assert len(guard(forge).rulesets) == before
    assert run("--check", "--deploy", "false")[0] == 0


def test_gitea_protects_branches_by_its_own_rules(
    tmp_path: Path,
    bares: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with strict_gitea(tmp_path / "gitea", base="/git") as forge:
        serve(forge, bares)
        run = runner(forge, monkeypatch, capsys)
        code, said = run("--dry-run", "--deployer", "user:deployer")
        assert (code, writes(forge)) == (0, [])
        code, said = run("--yes", "--deployer", "user:deployer")
        assert code == 0, said
        assert "tags can't be protected here" in said
        assert run("--check")[0] == 0
        assert run("--dry-run")[1].count("nothing to change") == 2

        staging = guard(forge).branches["staging"]
        assert (staging["enable_push"], staging["required_approvals"]) == (False, 1)
        assert "promote / Check, gate, build (pull_request)" in staging["status_check_contexts"]
        merge = guard(forge).merge
        assert (merge["allow_squash_merge"], merge["allow_fast_forward_only_merge"]) == (
            False,
            False,
        )
        deployed = guard(forge, DEPLOY).branches["main"]
        assert deployed["push_whitelist_usernames"] == ["deployer"]
        assert deployed["protected_file_patterns"] == "overlays/production/**"

        wrong = (
            ({"enable_push": True}, "changes by pull request only is no"),
            ({"required_approvals": 0}, "approvals is 0"),
            ({"enable_status_check": False}, "required checks is none"),
            ({"enable_force_push": True}, "force pushes are blocked is no"),
            ({"block_admin_merge_override": False}, "who may bypass is admins"),
            (
                {"unprotected_file_patterns": "models/**"},
                "paths that anybody may push is models/**",
            ),
            ({"dismiss_stale_approvals": False}, "a push dismisses approvals is no"),
        )
        for fields, _ in wrong:
            staging.update(fields)
        merge["allow_squash_merge"] = True
        code, said = run("--check")
        assert code == 3
        for _, told in (*wrong, ({}, "merge methods is merge, squash, not merge")):
            assert told in said.rpartition("not what promotion.yaml wants")[2]


def test_what_promotion_yaml_names_is_missed_by_a_check(
    run: Run, forge: Forge, bares: dict[str, Path], tmp_path: Path
) -> None:
    """Reviewers, and the deployer: without these nobody could tell a rule taken away from none."""
    work, bare = tmp_path / "work", tmp_path / "named.git"
    process.run(["git", "clone", "--quiet", bares[MODEL], work])
    file = work / "promotion.yaml"
    text = file.read_text().replace(
        f"repository: {DEPLOY}", f"repository: {DEPLOY}\n  deployer: app:deployer"
    )
    file.write_text(text.replace("branch: production", "branch: production, reviewers: [Alice]"))
    git = ["git", "-C", work, "-c", "user.name=t", "-c", "user.email=t@t"]
    process.run([*git, "commit", "--quiet", "--all", "--message=name"])
    process.run(["git", "clone", "--quiet", "--bare", work, bare])
    forge.add_repository("acme/named", bare)

    url = f"{forge.url}/acme/named.git"
    assert run("--yes", repository=url)[0] == 0
    assert run("--check", repository=url)[0] == 0
    guard(forge, "acme/named").environments["production"]["reviewers"] = []
    guard(forge, DEPLOY).rulesets.pop()
    code, said = run("--check", repository=url)
    assert code == 3
    told = said.rpartition("not what promotion.yaml wants")[2]
    assert "environment production: reviewers is none, not alice" in told
    assert "branch main, by pull request: changes by pull request only is not set" in told
