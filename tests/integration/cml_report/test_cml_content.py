"""cml-report with real Git, real DVC, real pictures, and the stand-in for GitHub."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import stat
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from model_gitops import options
from model_gitops.__main__ import main
from model_gitops.adapters import process, report_branch
from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops.core import retry
from model_gitops.core.report import comment
from model_gitops.errors import ExternalError
from model_gitops_local.forge import Forge
from model_gitops_local.forge.openapi import strict_forge

BOT, READER, EVE = "bot-secret-token", "reader-secret-token", "eve-secret-token"
NAME = "acme/diabetes"
PNG = b"\x89PNG\r\n\x1a\n"
DVC_YAML = """\
metrics:
  - eval/metrics.json
params:
  - params.yaml
plots:
  - Learning curve:
      x: epoch
      y:
        eval/curve.csv: [training, validation]
  - Predicted against actual:
      template: scatter
      x: actual
      y:
        eval/predictions.csv: predicted
"""
PROMOTION = """\
model: diabetes
image: ghcr.io/acme/diabetes
environments:
  - {name: dev, branch: main}
  - {name: production, branch: production}
gate:
  - {metric: eval/metrics.json:r2, better: higher}
  - {metric: eval/metrics.json:error.rmse, better: lower}
"""


def project(quality: float, **extra: str) -> dict[str, str]:
    """Return a small DVC project whose model is the better the higher `quality` is."""
    chance = random.Random(1)
    curve = [f"{i},{80 / (1 + i * quality)},{85 / (1 + i * quality) + 2}" for i in range(60)]
    points = [(a, a + chance.gauss(0, 6 / quality)) for a in range(30, 300, 5)]
    metrics = {"r2": 0.4 + quality, "error": {"rmse": 60 + quality}, "size": 3}
    return {
        ".dvc/config": "",
        ".dvc/.gitignore": "/tmp\n/cache\n/config.local\n",
        "dvc.yaml": DVC_YAML,
        "promotion.yaml": PROMOTION,
        "params.yaml": f"train:\n  epochs: {int(1000 * quality)}\n  rate: 0.1\n",
        "eval/metrics.json": json.dumps(metrics),
        "eval/curve.csv": "\n".join(["epoch,training,validation", *curve]) + "\n",
        "eval/predictions.csv": "\n".join(["actual,predicted", *(f"{a},{p}" for a, p in points)])
        + "\n",
        **extra,
    }


@dataclass
class Flow:
    """A clone with a candidate checked out, the forge, and an open pull request."""

    forge: Forge
    git: Git
    bare: Path
    temporary: Path
    number: int
    set: Callable[[str, str], None]

    def commit(self, branch: str, files: dict[str, str]) -> str:
        if self.git.completed("switch", "--quiet", branch, check=False).returncode:
            self.git.run("switch", "--quiet", "-c", branch)
        for name, text in files.items():
            path = self.git.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git.run("add", "--all")
        self.git.run("commit", "--quiet", "--allow-empty", "-m", "change")
        self.git.run("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return self.git.run("rev-parse", "HEAD").strip()

    def on_pull_request(self) -> None:
        self._event("pull_request", self.forge.event("pull_request", NAME, self.number))

    def on_push(self, branch: str) -> None:
        after = self.git.run("rev-parse", "HEAD").strip()
        event = self.forge.event("push", NAME, branch=branch, before=after, after=after)
        self._event("push", event)
        self.set("GITHUB_REF", f"refs/heads/{branch}")
        self.set("GITHUB_SHA", after)

    def _event(self, kind: str, event: object) -> None:
        path = self.temporary / "event.json"
        path.write_text(json.dumps(event), encoding="utf-8")
        self.set("GITHUB_EVENT_PATH", str(path))
        self.set("GITHUB_EVENT_NAME", kind)

    def run(self, *, token: str = BOT, expect: int = 0, **inputs: str) -> dict[str, str]:
        """Run the action, as a step with `inputs`; return its outputs and its summary."""
        for name in ("output", "summary"):
            file = self.temporary / name
            file.unlink(missing_ok=True)
            self.set(f"GITHUB_{'STEP_' if name == 'summary' else ''}{name.upper()}", str(file))
        for name in ("base", "body", "metrics", "params", "plots", "target", "title", "publisher"):
            os.environ.pop(options.variable(name), None)
        for name, value in inputs.items():
            self.set(options.variable(name), value)
        self.set(options.variable("token"), token)
        assert main(["cml-report"]) == expect
        outputs = {}
        if (self.temporary / "output").exists():
            text = (self.temporary / "output").read_text("utf-8")
            for found in re.finditer(r"^([\w-]+)<<(end-\w+)\n(.*?)\n\2$", text, re.M | re.S):
                outputs[found[1]] = found[3]
        summary = self.temporary / "summary"
        outputs["summary"] = summary.read_text("utf-8") if summary.exists() else ""
        return outputs

    def comments(self, place: int | str = 0) -> list[str]:
        api = GitHub(NAME, BOT, api_url=self.forge.api_url)
        return [one.body for one in api.list_comments(place or self.number)]

    def get(self, url: str, token: str = BOT) -> bytes:
        assert urlsplit(url).hostname == "127.0.0.1"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            content: bytes = answer.read()
            return content


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flow]:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
    bare, temporary = tmp_path / "model.git", tmp_path / "runner"
    temporary.mkdir()
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    process.run(["git", "clone", "--quiet", bare, tmp_path / "work"])
    with strict_forge(tmp_path / "forge") as forge:
        forge.add_repository(NAME, bare)
        forge.add_token(BOT, "github-actions[bot]")
        forge.add_token(
            READER, "github-actions[bot]", {"contents": "read", "pull-requests": "read"}
        )
        forge.add_token(EVE, "eve")
        made = Flow(forge, Git(tmp_path / "work"), bare, temporary, 0, monkeypatch.setenv)
        made.commit("main", project(0.05))
        made.commit("better", project(0.1))
        api = GitHub(NAME, BOT, api_url=forge.api_url)
        pull = api.open_pull_request(head="better", base="main", title="Better", body="")
        made.number = pull.number
        monkeypatch.chdir(tmp_path / "work")
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("RUNNER_TEMP", str(temporary))
        monkeypatch.setenv("GITHUB_REPOSITORY", NAME)
        monkeypatch.setenv("GITHUB_SERVER_URL", forge.url)
        monkeypatch.setenv("GITHUB_API_URL", forge.api_url)
        monkeypatch.setenv("GITHUB_RUN_ID", "41")
        made.on_pull_request()
        yield made


def pictures_in(markdown: str) -> list[str]:
    return re.findall(r"!\[[^\]]*\]\(([^)]+)\)", markdown)


def test_creates_then_leaves_then_updates_one_comment_with_pictures(flow: Flow) -> None:
    first = flow.run()
    assert first["operation"] == "created"
    (body,) = flow.comments()
    assert "| r2 | 0.45 | 0.5 | +0.05 ▲ |" in body
    assert "| error.rmse | 60.05 | 60.1 | +0.05 ▼ |" in body
    assert "| size | 3 | 3 | = |" in body
    assert "| train.epochs | 50 | 100 |" in body
    assert "train.rate" not in body
    assert "## Model report: diabetes → dev" in body
    assert "**▲ 1 better ▼ 1 worse** of 3 metrics, compared with main." in body
    assert f"{flow.forge.url}/{NAME}/actions/runs/41" in body
    assert first["url"].startswith(f"{flow.forge.url}/{NAME}/pull/{flow.number}#")
    assert Path(first["report"]).read_text("utf-8") == body
    assert body.strip() in first["summary"]

    links = pictures_in(body)
    assert len(links) == 2
    for link in links:
        assert re.fullmatch(
            rf"{flow.forge.url}/{NAME}/raw/[0-9a-f]{{40}}/[0-9a-f]{{16}}\.png", link
        )
        content = flow.get(link)
        assert content.startswith(PNG)
        assert len(content) > 1000
        assets = Path(first["report"]).with_suffix(".assets")
        assert (assets / link.rsplit("/", 1)[1]).read_bytes() == content

    # Another run of the same candidate has nothing new to say, and adds nothing to the branch.
    flow.set("GITHUB_RUN_ID", "42")
    tip = flow.git.run("ls-remote", "origin", report_branch.BRANCH)
    again = flow.run()
    assert (again["operation"], again["url"]) == ("none", first["url"])
    assert flow.git.run("ls-remote", "origin", report_branch.BRANCH) == tip
    assert flow.comments() == [body]

    flow.commit("better", project(0.2))
    flow.on_pull_request()
    changed = flow.run()
    assert (changed["operation"], changed["url"]) == ("updated", first["url"])
    (body,) = flow.comments()
    assert "| r2 | 0.45 | 0.6 | +0.15 ▲ |" in body
    assert all(flow.get(link).startswith(PNG) for link in [*links, *pictures_in(body)])
    # The branch only holds pictures; the checkout knows nothing of it.
    names = Git(flow.bare).run("ls-tree", "--name-only", f"refs/heads/{report_branch.BRANCH}")
    assert re.fullmatch(r"(([0-9a-f]{16}\.png|README\.md)\n)+", names)
    assert flow.git.run("status", "--porcelain") == ""


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


def test_two_titles_are_two_comments(flow: Flow) -> None:
    urls = {flow.run(title=title, plots="false")["url"] for title in ("Gate", "Gate --> x", "Gate")}
    assert len(urls) == 2
    assert len(flow.comments()) == 2
    assert [flow.run(title=t, plots="false")["operation"] for t in ("Gate", "Gate --> x")] == [
        "none"
    ] * 2


def test_the_comment_of_somebody_else_is_not_touched(flow: Flow) -> None:
    copy = f"I am the report\n\n{comment.mark('Model report')}"
    GitHub(NAME, EVE, api_url=flow.forge.api_url).create_comment(flow.number, copy)
    assert flow.run(plots="false")["operation"] == "created"
    assert flow.run(plots="false")["operation"] == "none"
    assert flow.comments()[0] == copy
    assert len(flow.comments()) == 2


def test_a_token_that_may_only_read_falls_back_to_the_summary(
    flow: Flow, capfd: pytest.CaptureFixture[str]
) -> None:
    done = flow.run(token=READER)
    assert (done["operation"], done["url"]) == ("none", "")
    assert flow.comments() == []
    assert "No comment was written" in done["summary"]
    assert "| r2 | 0.45 | 0.5 | +0.05 ▲ |" in done["summary"]
    assert "2 plots can't be shown here" in done["summary"].replace("\\", "")
    said = capfd.readouterr()
    assert "::notice::No comment was written" in said.out
    assert READER not in said.out.replace(f"::add-mask::{READER}", "") + said.err
    # The pictures can still be seen from the file.
    report = Path(done["report"])
    shown = pictures_in(report.read_text("utf-8"))
    assert len(shown) == 2
    assert all((report.parent / name).read_bytes().startswith(PNG) for name in shown)
    assert Git(flow.bare).run("for-each-ref", "refs/heads/model-gitops") == ""


def test_no_token_and_no_workflow_fall_back_too(flow: Flow) -> None:
    assert flow.run(token="", plots="false")["operation"] == "none"
    flow.set("GITHUB_REPOSITORY", "")
    assert flow.run(plots="false")["operation"] == "none"


def test_a_comment_may_be_allowed_where_pictures_are_not(flow: Flow) -> None:
    flow.forge.add_token(
        "commenter", "github-actions[bot]", {"contents": "read", "pull-requests": "write"}
    )
    assert flow.run(token="commenter")["operation"] == "created"
    (body,) = flow.comments()
    assert "contents: write" in body.replace("\\", "")
    assert pictures_in(body) == []


def test_a_push_reports_on_the_open_pull_request_else_on_the_commit(flow: Flow) -> None:
    flow.on_push("better")
    assert flow.run(plots="false")["operation"] == "created"
    assert len(flow.comments()) == 1
    commit = flow.commit("lonely", project(0.07))
    flow.on_push("lonely")
    done = flow.run(plots="false")
    assert done["operation"] == "created"
    assert "/commit/" in done["url"]
    (body,) = flow.comments(commit)
    assert "compared with main." in body
    assert flow.run(plots="false")["operation"] == "none"
    flow.commit("lonely", project(0.08))
    assert len(flow.comments()) == 1


@pytest.mark.parametrize("form", ["pr", "pr/{number}", "issue/{number}", "PR/{number}"])
def test_targets_of_a_pull_request(flow: Flow, form: str) -> None:
    assert flow.run(target=form.format(number=flow.number), plots="false")["operation"] == "created"
    assert len(flow.comments()) == 1


def test_target_commit(flow: Flow) -> None:
    head = flow.git.run("rev-parse", "HEAD").strip()
    assert flow.run(target="commit", plots="false")["operation"] == "created"
    assert flow.run(target=f"commit/{head[:12]}", plots="false")["operation"] == "none"
    assert len(flow.comments(head)) == 1
    assert flow.comments() == []


@pytest.mark.parametrize(
    "inputs",
    [
        {"target": "pr/99"},
        {"target": "issue/99"},
        {"target": f"commit/{'1' * 40}"},
        {"target": "pr/x"},
        {"target": "merge"},
        {"base": "nowhere"},
        {"base": "--upload-pack=touch pwned"},
        {"body": "missing.md"},
        {"metrics": "../../etc/passwd"},
        {"publisher": "other"},
        {"publisher": "cml"},
        {"plots": "yes"},
    ],
)
def test_wrong_inputs_change_nothing(flow: Flow, inputs: dict[str, str]) -> None:
    flow.set("PATH", os.defpath)
    refs = Git(flow.bare).run("for-each-ref")
    flow.run(expect=2, **inputs)
    assert flow.comments() == []
    assert Git(flow.bare).run("for-each-ref") == refs
    assert not (flow.git.directory / "pwned").exists()


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


def test_images_of_the_body_are_shown(flow: Flow) -> None:
    import vl_convert

    png = vl_convert.vegalite_to_png(
        {"data": {"values": [{"a": 1}]}, "mark": "point", "encoding": {}}
    )
    (flow.temporary / "my plot.png").write_bytes(png)
    (flow.temporary / "secret").write_text("not a picture")
    body = flow.temporary / "body.md"
    body.write_text("![mine](my%20plot.png) ![no](secret) ![far](https://example.com/x.png)\n")
    flow.run(body=str(body), plots="false")
    (text,) = flow.comments()
    mine, no, far = pictures_in(text)
    assert flow.get(mine) == png
    assert (no, far) == ("secret", "https://example.com/x.png")


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


@pytest.fixture
def fake_cml(flow: Flow, tmp_path: Path) -> Path:
    """Put a `cml` on PATH that writes down how it was called, and comments as CML does."""
    log, program = tmp_path / "cml.jsonl", tmp_path / "bin" / "cml"
    program.parent.mkdir()
    program.write_text(
        f"""#!{sys.executable}
import json, os, sys
sys.path[:0] = {[path for path in sys.path if path]!r}
from model_gitops.adapters.github import GitHub
line = {{"argv": sys.argv[1:], "env": {{k: v for k, v in os.environ.items() if "TOKEN" in k}}}}
with open({str(log)!r}, "a") as file:
    file.write(json.dumps(line) + "\\n")
api = GitHub({NAME!r}, os.environ["REPO_TOKEN"], api_url={flow.forge.api_url!r})
flags = dict(word.split("=", 1) for word in sys.argv[3:-1])
number = int(flags["--target"].split("/")[1])
title = ("CML watermark " + flags["--watermark-title"]).strip()
text = open(sys.argv[-1]).read() + '\\n\\n![](https://cml.dev/watermark.png#abc123 "' + title + '")'
found = [one for one in api.list_comments(number) if title in one.body]
update = sys.argv[2] == "update" and found
print((api.update_comment(found[-1], text) if update else api.create_comment(number, text)).url)
"""
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    flow.set("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return log


def test_publisher_cml(flow: Flow, fake_cml: Path) -> None:
    first = flow.run(publisher="cml", title="Nightly", plots="false")
    assert first["operation"] == "created"
    assert flow.run(publisher="cml", title="Nightly", plots="false")["operation"] == "none"
    flow.commit("better", project(0.25))
    flow.on_pull_request()
    last = flow.run(publisher="cml", title="Nightly", plots="false")
    assert (last["operation"], last["url"]) == ("updated", first["url"])
    assert len(flow.comments()) == 1
    created, updated = (json.loads(line) for line in fake_cml.read_text().splitlines())
    expected = [
        f"--target=pr/{flow.number}",
        "--watermark-title=Nightly",
        f"--repo={flow.forge.url}/{NAME}",
        "--publish=false",
        first["report"],
    ]
    assert created["argv"] == ["comment", "create", *expected]
    assert updated["argv"] == ["comment", "update", *expected]
    assert created["env"] == {"REPO_TOKEN": BOT}


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
