"""The deploy template's check of a pull request: what changes the image of a held overlay is refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from model_gitops.adapters.git import Git
from model_gitops.core.deploy import hold
from model_gitops_local import toolchain

TEMPLATE = Path(__file__).parents[3] / "templates" / "deploy"
OVERLAY = "overlays/production"
KUSTOMIZATION, HOLD = f"{OVERLAY}/kustomization.yaml", f"{OVERLAY}/hold.yaml"
NOW = datetime.now(UTC)
HELD = hold.write(hold.Hold("p95 too high", "ada", NOW))
DIGEST = "sha256:" + "1" * 64


class Deploy(Git):
    """A clone of the deploy repository, whose main is `origin/main` too."""

    def write(self, files: dict[str, str | None], message: str = "change") -> str:
        for name, text in files.items():
            path = self.directory / name
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self.run("add", "--all")
        self.run("commit", "--quiet", "--allow-empty", "-m", message)
        return self.run("rev-parse", "HEAD").strip()

    def hold(self, text: str | None = HELD) -> None:
        """Hold on main, whatever is checked out."""
        here = self.run("rev-parse", "--abbrev-ref", "HEAD").strip()
        self.run("checkout", "--quiet", "main")
        self.write({HOLD: text}, "Hold")
        self.run("update-ref", "refs/remotes/origin/main", "main")
        self.run("checkout", "--quiet", here)

    def check(self, head: str = "HEAD") -> subprocess.CompletedProcess[str]:
        script = TEMPLATE / "scripts" / "check_holds.py"
        return subprocess.run(
            [sys.executable, script, "origin/main", head],
            cwd=self.directory, capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    """A pull request's branch is checked out."""
    folder = tmp_path / "deploy"
    shutil.copytree(TEMPLATE, folder)
    git = Deploy(folder)
    git.run("init", "--quiet", "--initial-branch=main")
    git.run("config", "user.name", "Ada")
    git.run("config", "user.email", "ada@example.com")
    git.write({}, "first")
    git.run("update-ref", "refs/remotes/origin/main", "main")
    git.run("checkout", "--quiet", "-b", "change")
    return git


def bumped(deploy: Deploy) -> str:
    data = yaml.safe_load((deploy.directory / KUSTOMIZATION).read_text())
    data["images"][0] |= {"newTag": "v2", "digest": DIGEST}
    return yaml.safe_dump(data)


def merged(deploy: Deploy) -> str:
    """As a runner checks a pull request out: the merge of both, as it would be."""
    deploy.run("checkout", "--quiet", "--detach", "origin/main")
    deploy.run("merge", "--quiet", "--no-ff", "-m", "merge", "change")
    return deploy.run("rev-parse", "HEAD").strip()


@pytest.mark.parametrize("as_merge", [True, False], ids=["merge", "head"])
def test_what_changes_the_image_of_a_held_overlay_is_refused(
    deploy: Deploy, as_merge: bool
) -> None:
    deploy.write({KUSTOMIZATION: bumped(deploy)}, "Deploy diabetes v0.0.2 to production")
    assert deploy.check().returncode == 0
    deploy.hold()
    # A runner of Gitea has the branch's own commit, which knows nothing of the hold.
    done = deploy.check(merged(deploy) if as_merge else "change")
    assert done.returncode == 1, done.stdout + done.stderr
    assert (
        f"::error title={OVERLAY}::{OVERLAY} takes no promotion: it is held by ada" in done.stdout
    )
    assert "p95 too high" in done.stdout


@pytest.mark.parametrize("as_merge", [True, False], ids=["merge", "head"])
def test_what_passes(deploy: Deploy, as_merge: bool) -> None:
    def passes(files: dict[str, str | None], message: str = "change") -> bool:
        deploy.run("checkout", "--quiet", "-B", "change", "origin/main")
        deploy.write(files, message)
        return deploy.check(merged(deploy) if as_merge else "change").returncode == 0

    deploy.hold()
    image: dict[str, str | None] = {KUSTOMIZATION: bumped(deploy)}
    text = (deploy.directory / KUSTOMIZATION).read_text()
    assert not passes(image)
    assert not passes(image, "Rollback: false")
    assert passes(image, "Roll back\n\nRollback: true")
    assert passes({**image, HOLD: None}), "it releases"
    ended = hold.write(hold.Hold("x", "ada", NOW, NOW - timedelta(minutes=1)))
    assert passes({**image, HOLD: ended})
    assert not passes({**image, HOLD: HELD.replace("p95", "p99")}), "another reason holds too"
    assert passes({KUSTOMIZATION: f"{text}# more\ncommonAnnotations: {{a: b}}\n"})
    assert passes({"overlays/dev/kustomization.yaml": "images: []\n"})
    deploy.hold(ended)
    assert passes(image), "it ran out"
    deploy.hold(hold.write(hold.Hold("x", "ada", NOW, NOW + timedelta(hours=1))))
    assert not passes(image)


HOSTILE = ["[", "a\nb", "until: 5\n", "until: [1]\n", "- x\n", 'until: "2h"\n', "\x00", "", "reason: \"%0A::error::x\\r\\n::error::y\"\n",
    # These ended, and can't be read by the actions: they hold there too.
    "reason: [1]\nuntil: 2020-01-01\n", "since: yesterday\nuntil: 2020-01-01\n", 'until: "0001-01-01T00:00:00+14:00"\n']  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_what_a_stranger_writes_holds_and_says_no_more(deploy: Deploy, content: str) -> None:
    deploy.hold(content)
    deploy.run("checkout", "--quiet", "-B", "change", "origin/main")
    deploy.write({KUSTOMIZATION: bumped(deploy)})
    done = deploy.check()
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("::")]
    assert len(lines) == 1 and lines[0].startswith(f"::error title={OVERLAY}::")


def test_an_overlay_that_is_the_top_folder_is_held_too(deploy: Deploy) -> None:
    top = {"kustomization.yaml": (deploy.directory / KUSTOMIZATION).read_text(), "hold.yaml": HELD}
    deploy.run("checkout", "--quiet", "main")
    deploy.write(dict(top))
    deploy.run("update-ref", "refs/remotes/origin/main", "main")
    deploy.run("checkout", "--quiet", "-B", "change")
    deploy.write({"kustomization.yaml": bumped(deploy)})
    done = deploy.check()
    assert done.returncode == 1, done.stdout
    assert "::error title=the top folder::the top folder takes no promotion" in done.stdout


def test_the_workflow_asks_in_a_pull_request_only() -> None:
    workflow = yaml.safe_load((TEMPLATE / ".github/workflows/validate.yml").read_text())
    steps = workflow["jobs"]["overlays"]["steps"]
    (step,) = [one for one in steps if "check_holds" in one.get("run", "")]
    assert step["if"] == "github.event_name == 'pull_request'"
    assert step["env"] == {"BASE": "${{ github.base_ref }}"}
    assert steps[0]["with"]["fetch-depth"] == 0


def test_kustomize_takes_no_notice_of_it(deploy: Deploy) -> None:
    words = [toolchain.ensure("kustomize"), "build", deploy.directory / OVERLAY]
    before = subprocess.run(words, check=True, capture_output=True).stdout
    deploy.write({HOLD: HELD})
    assert subprocess.run(words, check=True, capture_output=True).stdout == before
