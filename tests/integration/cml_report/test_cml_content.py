"""cml-report: what is compared and shown, with real Git, real DVC and real pictures."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from report_flow import BOT, DVC_YAML, NAME, PNG, READER, Flow, pictures_in, project

from model_gitops.adapters import process, report_branch
from model_gitops.adapters.git import Git
from model_gitops.core import retry
from model_gitops.core.report import comment
from model_gitops.errors import ExternalError


def test_compares_with_the_incumbent_too(flow: Flow) -> None:
    flow.commit("main", project(0.06))
    flow.git.run("tag", "-a", "diabetes@v0.0.7", "-m", "7", "main~1")
    flow.git.run("tag", "-a", "diabetes#dev#1", "-m", "dev", "main~1")
    flow.git.run("push", "--quiet", "origin", "--tags")
    flow.git.run("switch", "--quiet", "better")
    flow.run(plots="false")
    (body,) = flow.comments()
    assert "| metric | main | dev v0.0.7 | candidate | change |" in body
    assert "| r2 | 0.46 | 0.45 | 0.5 | +0.05 ▲ |" in body
    assert "compared with dev v0.0.7." in body
    assert pictures_in(body) == []


def test_a_shallow_checkout_fetches_the_base(
    flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process.run(
        [
            "git",
            "clone",
            "--quiet",
            "--depth=1",
            "--branch=better",
            f"file://{flow.bare}",
            tmp_path / "shallow",
        ]
    )
    monkeypatch.chdir(tmp_path / "shallow")
    flow.run(plots="false")
    (body,) = flow.comments()
    assert "| r2 | 0.45 | 0.5 | +0.05 ▲ |" in body
    assert Git(tmp_path / "shallow").is_shallow()


def test_the_first_model_ever_has_nothing_to_compare_with(flow: Flow) -> None:
    flow.git.run("switch", "--quiet", "--orphan", "empty")
    empty = flow.commit("empty", {"README.md": "nothing yet\n"})
    flow.git.run("switch", "--quiet", "better")
    assert flow.run(base=empty, plots="false")["operation"] == "created"
    (body,) = flow.comments()
    assert re.search(r"\| r2 \| – \| 0\.5 \| *\|", body)


def test_a_promotion_opens_with_what_other_jobs_found(flow: Flow) -> None:
    promotion = {
        "environment": "dev",
        "rules": "| rule | now | after the merge |\n|---|---|---|\n| `image` | `a` | `b` |\n",
        "tests": "failure",
        "gate": "success",
        "gate-table": "| | metric |\n|---|---|\n| ✅ | r2 |\n",
        "status": "failure",
        "build": "success",
        "image": f"registry.example/m:t@sha256:{'a' * 64}",
    }
    assert flow.run(plots="false", **promotion)["operation"] == "created"
    (body,) = flow.comments()
    order = [
        "## Promotion to dev: refused: the project's tests failed\n\n### ⚠️ This change rewrites promotion.yaml",
        "| `image` | `a` | `b` |",
        "✅ The gate of dev lets this model pass",
        "| ✅ | r2 |",
        "The project's own checks and tests failed",
        "What dev runs can not be said",
        "It is a rehearsal, and is never deployed",
        "**▲ 1 better ▼ 1 worse** of 3 metrics",
        "### Metrics",
    ]
    places = [body.find(one) for one in order]
    assert places == sorted(places)
    assert places[0] == 0
    flow.run(gate="passed", expect=2)
    flow.run(gate="success", environment="", expect=2)
    assert flow.comments() == [body]
    # Another verdict is another title of the same comment.
    assert flow.run(plots="false", **promotion | {"tests": "success"})["operation"] == "updated"
    (changed,) = flow.comments()
    assert changed.startswith("## Promotion to dev: may merge\n")


def test_a_long_body_leaves_out_whole_sections_last_first(flow: Flow) -> None:
    parts = [f"## Part {number}\n\n{'word ' * 2000}" for number in range(20)]
    body = flow.temporary / "body.md"
    body.write_text("\n\n".join(parts) + f"\n\n{comment.mark('Other')}\n", encoding="utf-8")
    done = flow.run(body=str(body), title="Long")
    (text,) = flow.comments()
    assert len(text) <= 65_536
    assert [f"## Part {n}\n" in text for n in range(20)] == [n < 6 for n in range(20)]
    left_out = next(line for line in text.splitlines() if "Left out" in line)
    assert "Part 6" in left_out
    assert "metrics, params, plots" in left_out
    assert "Part 5" not in left_out
    # The summary has room for all of it.
    assert "## Part 19" in done["summary"]
    assert "| r2 |" in done["summary"]
    assert not comment.has_mark(text, "Other")
    assert flow.run(body=str(body), title="Long")["operation"] == "none"


def test_hostile_names_stay_text(flow: Flow, capfd: pytest.CaptureFixture[str]) -> None:
    evil = "x|y`<img src=x>@everyone\n::error::pwned ![a](http://evil) <!-- "
    files = project(0.3)
    files["eval/metrics.json"] = json.dumps({evil: 1.5, "r2": 0.9})
    files["params.yaml"] = json.dumps({evil: evil})
    flow.commit('a"b$(touch${IFS}pwned)`id`', files)
    flow.on_push('a"b$(touch${IFS}pwned)`id`')
    flow.run(title=evil.replace("\n", " "), plots="false")
    (text,) = flow.comments(flow.git.run("rev-parse", "HEAD").strip())
    assert "<img" not in text
    assert "@everyone" not in text
    assert "http://evil" not in text
    assert text.count("<!--") == 1
    rows = [line for line in text.splitlines() if line.startswith("| x")]
    assert len(rows) == 2
    assert all(
        len(re.findall(r"(?<!\\)\|", row)) == row.count("|") - row.count("\\|") for row in rows
    )
    assert not re.search(r"^::error", capfd.readouterr().out, re.M)
    assert not (flow.git.directory / "pwned").exists()


def test_metrics_that_are_not_here_are_told(flow: Flow) -> None:
    files = project(0.3)
    files["dvc.yaml"] = DVC_YAML.replace(
        "  - eval/metrics.json\n", "  - eval/metrics.json\n  - eval/absent.json\n"
    )
    flow.commit("better", files)
    flow.on_pull_request()
    flow.run(plots="false")
    (text,) = flow.comments()
    assert "eval/absent.json is missing in candidate" in text.replace("\\", "")


def test_a_template_that_loads_an_address_is_not_drawn(flow: Flow) -> None:
    template = {
        "data": {"values": "<DVC_METRIC_DATA>"},
        "layer": [{"data": {"url": "file:///etc/passwd"}, "mark": "text"}],
        "title": "<DVC_METRIC_TITLE>",
        "encoding": {"x": {"field": "<DVC_METRIC_X>"}, "y": {"field": "<DVC_METRIC_Y>"}},
    }
    files = project(0.1, **{".dvc/plots/scatter2.json": json.dumps(template)})
    files["dvc.yaml"] = DVC_YAML.replace("template: scatter", "template: scatter2")
    flow.commit("better", files)
    flow.on_pull_request()
    flow.run()
    (text,) = flow.comments()
    assert len(pictures_in(text)) == 1
    assert "can't be drawn" in text.replace("\\", "")


def test_the_branch_of_pictures_takes_every_writer(flow: Flow, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    files = []
    for number in range(4):
        file = tmp_path / f"{number:016x}.png"
        file.write_bytes(PNG + bytes([number]))
        files.append(file)
    url = f"{flow.forge.url}/{NAME}.git"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda file: report_branch.publish(url, BOT, [file]), files))
    names = Git(flow.bare).run("ls-tree", "--name-only", f"refs/heads/{report_branch.BRANCH}")
    assert names.split() == [*(file.name for file in files), "README.md"]
    assert Git(flow.bare).run("rev-list", "--count", f"refs/heads/{report_branch.BRANCH}") == "4\n"
    with pytest.raises(ExternalError):
        report_branch.publish(url, READER, [tmp_path / files[0].name, *files, _new(tmp_path)])


def _new(folder: Path) -> Path:
    file = folder / f"{99:016x}.png"
    file.write_bytes(PNG + b"new")
    return file


def test_a_push_into_an_environment_is_compared_with_the_commit_before(flow: Flow) -> None:
    before = flow.git.run("rev-parse", "origin/main").strip()
    flow.git.run("tag", "-a", "diabetes@v0.0.1", "-m", "1", before)
    flow.git.run("tag", "-a", "diabetes#dev#1", "-m", "dev", before)
    flow.git.run("push", "--quiet", "origin", "--tags")
    flow.commit("main", project(0.06))
    merged = flow.commit("main", project(0.3))
    flow.on_push("main")
    assert flow.run(plots="false")["operation"] == "created"
    (body,) = flow.comments(merged)
    previous = flow.git.run("rev-parse", "HEAD^").strip()[:10]
    assert f"| metric | {previous} | dev v0.0.1 | candidate | change |" in body
    assert "| r2 | 0.46 | 0.45 | 0.7 | +0.25 ▲ |" in body


def test_a_base_that_can_not_be_asked_for_is_no_bad_input(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(retry, "pause", lambda attempt, jitter: 0.0)
    flow.git.run("remote", "set-url", "origin", "http://127.0.0.1:1/x.git")
    assert flow.run(base="nowhere", expect=4) == {"summary": ""}
    assert re.search("::error .*127.0.0.1 port 1", capfd.readouterr().out)


def test_a_body_alone_is_posted_where_there_is_no_model(flow: Flow, tmp_path: Path) -> None:
    top = flow.git.directory
    for name in (".dvc", "dvc.yaml", "dvc.lock", "promotion.yaml"):
        file = top / name
        shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
    body = tmp_path / "body.md"
    body.write_text("#### From another run\n\n| a |\n|---|\n| 1 |\n", "utf-8")
    run = {"id": 9, "head_sha": "a" * 40, "conclusion": "success"}
    flow._event("workflow_run", {"action": "completed", "workflow_run": run})
    inputs = {"body": str(body), "target": f"pr/{flow.number}", "title": "Fork"}
    assert flow.run(**inputs)["operation"] == "created"
    assert flow.run(**inputs)["operation"] == "none"
    (comment,) = flow.comments()
    # Neither metrics of the default branch nor its commit: they are not what the body is about.
    assert comment.startswith("## Fork\n\n#### From another run\n")
    assert "metric" not in comment
    assert "Candidate" not in comment
