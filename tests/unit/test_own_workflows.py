"""This project's own workflows and changelog: what a release and the self-test rest on."""

from __future__ import annotations

import datetime
import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
VERSION = tomllib.loads(PROJECT)["project"]["version"]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f".github/scripts/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_release: Any = script("check_release")
publish_release: Any = script("publish_release")
report_selftest: Any = script("report_selftest")


def workflow(name: str) -> Any:
    return YAML(typ="safe").load(ROOT / f".github/workflows/{name}.yml")


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def test_the_version_is_the_newest_of_the_changelog() -> None:
    names = list(check_release.sections(CHANGELOG))
    assert names[0] == "Unreleased"
    assert names[1] == VERSION
    assert sorted(names[1:], key=numbers, reverse=True) == names[1:]


def test_the_changelog_keeps_its_form() -> None:
    for heading in re.findall(r"(?m)^## .*$", CHANGELOG)[1:]:
        found = re.fullmatch(r"## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", heading)
        assert found, heading
        datetime.date.fromisoformat(found[2])
        assert f"\n[{found[1]}]: https://" in CHANGELOG
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"(?m)^### (.*)$", CHANGELOG)) <= kinds


def test_the_notes_of_a_release_are_its_section() -> None:
    text = check_release.notes(f"v{VERSION}", PROJECT, CHANGELOG)
    assert "### Added" in text
    assert "## [" not in text
    # The last section ends before the links.
    assert "\n[" not in text


@pytest.mark.parametrize(
    ("tag", "project", "changelog", "told"),
    [
        ("v0.2.0", "0.1.0", "## [0.2.0] - x\n\n- a\n", "the tag says 0.2.0, pyproject.toml says"),
        ("v0.2.0", "0.2.0", "## [0.1.0] - x\n\n- a\n", "says nothing below `## [0.2.0]`"),
        ("v0.2.0", "0.2.0", "## [0.2.0] - x\n\n## [0.1.0]\n\n- a\n", "says nothing below"),
        ("v0.2", "0.2", "## [0.2] - x\n\n- a\n", "is no release"),
        ("v0.2.0\n", "0.2.0", "## [0.2.0] - x\n\n- a\n", "is no release"),
        ("v00.2.0", "00.2.0", "## [00.2.0] - x\n\n- a\n", "is no release"),
    ],
)
def test_a_tag_that_disagrees_is_refused(tag: str, project: str, changelog: str, told: str) -> None:
    with pytest.raises(check_release.RefusedError, match=re.escape(told)):
        check_release.notes(tag, f'[project]\nversion = "{project}"\n', changelog)


def test_a_release_is_completed_and_never_changed() -> None:
    plan, expected = publish_release.plan, publish_release.Plan
    ours = {"a.whl": b"1", "SHA256SUMS": b"2", "provenance.sigstore.json": b"3"}
    assert plan(ours, None, draft=False) == expected(create=True)
    assert plan(ours, ours, draft=False) == expected(create=False)
    assert plan(ours, ours, draft=True).undraft
    assert plan(ours, {"a.whl": b"1"}, draft=True).missing == (
        "SHA256SUMS",
        "provenance.sigstore.json",
    )
    # Signed anew, and as good; what people added stays.
    more = ours | {"provenance.sigstore.json": b"other", "notes.pdf": b""}
    assert plan(ours, more, draft=False) == expected(create=False)
    with pytest.raises(publish_release.RefusedError, match=r"another a\.whl"):
        plan(ours, {"a.whl": b"other"}, draft=True)


def test_only_the_last_job_of_the_selftest_writes_and_it_hears_of_all_others() -> None:
    jobs = workflow("selftest")["jobs"]
    report = jobs.pop("report")
    assert sorted(report["needs"]) == sorted(jobs)
    assert report["permissions"] == {"contents": "read", "issues": "write"}
    assert report["if"].startswith("always() && github.ref == 'refs/heads/main'")
    assert "pull_request" not in report["if"]
    for name, job in jobs.items():
        assert job["permissions"] == {"contents": "read"}, name
        # Such a job reports success whatever its steps did.
        assert "continue-on-error" not in job, name


def test_each_job_of_a_release_may_do_one_thing() -> None:
    found = workflow("release")
    assert found["permissions"] == {}
    jobs = found["jobs"]
    assert {name: job["permissions"] for name, job in jobs.items()} == {
        "build": {"contents": "read"},
        "attest": {"id-token": "write", "attestations": "write"},
        "publish": {"contents": "write"},
        "line": {"contents": "write"},
    }
    assert {name: job.get("needs") for name, job in jobs.items()} == {
        "build": None,
        "attest": "build",
        "publish": ["build", "attest"],
        "line": "publish",
    }
    for name, job in jobs.items():
        writes = job["permissions"].get("contents") == "write"
        assert (job.get("environment") == "release") == writes, name
    # The job that may sign runs none of our code.
    assert not any("checkout" in step.get("uses", "") for step in jobs["attest"]["steps"])


def test_an_issue_is_ours_by_title_and_author() -> None:
    # Not each server knows the filter `creator`.
    mine = {"title": report_selftest.TITLE, "user": {"login": report_selftest.AUTHOR}}
    assert report_selftest.ours(mine)
    for other in ({"title": "Other"}, {"user": {"login": "ada"}}, {"pull_request": {}}):
        assert not report_selftest.ours(mine | other)


def test_the_oldest_of_two_issues_is_kept_and_both_are_closed() -> None:
    run, none = report_selftest.Run, frozenset()
    two = [report_selftest.Thread(number, frozenset({3}), none) for number in (8, 7)]
    failed = report_selftest.decide(run(4, "", {"job": "failure"}), two)
    assert [step.number for step in failed] == [7]
    passed = report_selftest.decide(run(4, "", {"job": "success"}), two)
    assert [(type(step).__name__, step.number) for step in passed] == [
        ("Comment", 8),
        ("Close", 8),
        ("Comment", 7),
        ("Close", 7),
    ]


def test_the_last_try_tells_why(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(report_selftest.time, "sleep", waited.append)

    class Down:
        asks = iter([30, 3600, 0, 0])

        def threads(self) -> None:
            raise report_selftest.BusyError("down", next(self.asks))

    run = report_selftest.Run(1, "", {"job": "failure"})
    with pytest.raises(report_selftest.BusyError, match="down"):
        report_selftest.report(Down(), run)
    assert waited == [30, 60, 30]
