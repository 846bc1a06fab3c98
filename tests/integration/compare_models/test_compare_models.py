"""Two models, one test set, one evaluation: with real Git and real DVC."""

from __future__ import annotations

import json
import re

import pytest
from compare_project import IMAGE, Project

from model_gitops.adapters.git import Git
from model_gitops.core.flow import gate
from model_gitops.core.flow.promotion import Rule


def test_two_test_sets_mislead_and_one_does_not(project: Project) -> None:
    """The candidate is better, and its own test set harder: by the plain numbers it is worse."""
    champion = project.tip()
    candidate = project.change("experiment", slope=1.9, noise=40)
    rule = Rule("eval/metrics.json", "mae", "lower")
    plain = gate.judge(rule, project.plain(champion), project.plain(candidate), must_compare=True)
    assert "is worse than" in plain.reason
    told = project.run()
    found = told.difference
    assert found.champion == pytest.approx(project.plain(champion))
    assert found.candidate is not None and found.champion is not None
    assert found.candidate < found.champion < project.plain(candidate)
    assert gate.judge_measured(rule, found).passed
    assert told.measured.evaluation_commit == champion
    assert (told.measured.champion_commit, told.measured.candidate_commit) == (champion, candidate)

    # The other way round: a worse model on an easier test set looks better, and is not.
    project.change("main", noise=40)
    worse = project.change("experiment", slope=1.4, noise=0)
    harder = project.plain(project.tip())
    assert gate.judge(rule, harder, project.plain(worse), must_compare=True).passed
    found = project.run().difference
    assert not gate.judge_measured(rule, found).passed


def test_the_interval_and_the_slices(project: Project) -> None:
    project.change("experiment", slope=1.9)
    first = project.run()
    found = first.difference
    assert found.champion is not None and found.candidate is not None and found.interval
    assert found.interval[0] < found.candidate - found.champion < found.interval[1] < 0
    assert [(one.name, one.examples) for one in found.slices] == [("young", 60), ("old", 20)]
    assert gate.judge_measured(
        Rule("eval/metrics.json", "mae", "lower", measured=True, significant=True), found
    ).passed
    assert "worst of 2 slices" in first.outputs["table"]
    assert first.outputs["table"] in first.summary
    # Run again, it says the same.
    second = project.run()
    assert second.outputs == first.outputs
    assert project.left() == []
    assert project.git.run("status", "--porcelain") == ""


def test_nothing_runs_yet(project: Project) -> None:
    overlay = project.top / "deploy" / "overlays" / "dev" / "kustomization.yaml"
    overlay.write_text(f"images:\n- name: {IMAGE}\n  newTag: not-deployed-yet\n")
    git = Git(project.top / "deploy")
    git.run("commit", "--quiet", "--all", "--message", "Start again")
    git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    project.change("experiment", slope=1.9)
    told = project.run()
    assert (told.code, told.outputs) == (0, {"measured": "", "table": ""})
    assert "dev runs nothing yet, so there is nothing to compare m with" in told.log


def test_a_deploy_commit_that_names_another_model_is_refused(project: Project) -> None:
    project.deploy(project.tip(), "f" * 32)
    project.change("experiment", slope=1.9)
    told = project.run()
    assert told.code == 3
    assert "dev runs the model with the hash " + "f" * 32 in told.log


def test_without_a_deploy_repository_the_stages_tag_says_what_runs(project: Project) -> None:
    rules = {key: value for key, value in project.rules.items() if key != "deploy"}
    project.change("main", files={"promotion.yaml": json.dumps(rules)})
    project.change("experiment", slope=1.9)
    assert "dev runs nothing yet" in project.run().log
    for tag in ("m@v0.0.1", "m#dev#1"):
        project.git.run("tag", "--annotate", "--message", "x", tag, "origin/main")
        project.git.run("push", "--quiet", "origin", f"refs/tags/{tag}")
    told = project.run()
    assert told.difference.interval is not None
    assert "whoever may push a tag can move that" in told.log


def test_the_same_model_is_measured_once(project: Project) -> None:
    told = project.run(champion="origin/main")
    assert told.difference.interval == (0, 0)
    assert told.log.count("evaluated slope") == 1


def test_a_model_that_was_never_pushed(project: Project) -> None:
    project.change("experiment", slope=1.9)
    lock = project.git.run("show", "HEAD:dvc.lock")
    own = re.findall(r"path: models/m\.json\s+hash: md5\s+md5: (\w+)", lock)[0]
    (project.top / "store" / "files" / "md5" / own[:2] / own[2:]).unlink()
    told = project.run()
    assert told.code == 4
    assert "does not have 'models/m.json'" in told.log
    assert project.left() == []


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"timeout": "0"}, "it is no number from 1 to 360"),
        ({"timeout": "soon"}, "it is no number from 1 to 360"),
        ({"champion": "v9.9.9"}, "it is no version or stage of m"),
        ({"base_ref": "experiment"}, "it is no environment's branch: these are main"),
        ({"remote": "other"}, "the DVC project has no such remote; it has: store"),
        ({"remote_config": "secret"}, "entry 1 is no `key=value`"),
        ({"setup": 'make "env'}, "it is no command"),
        ({"setup": "'' env"}, "it names no program"),
    ],
)
def test_wrong_inputs(project: Project, inputs: dict[str, str], says: str) -> None:
    project.change("experiment", slope=1.9)
    told = project.run(**inputs)
    assert told.code == 2, told.log
    assert says in told.log
    assert project.left() == []
