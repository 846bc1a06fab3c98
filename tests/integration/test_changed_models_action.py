"""changed-models on real repositories: which commit is compared with which, and hostile trees."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from model_gitops.__main__ import main
from model_gitops.adapters import process
from model_gitops.adapters.git import Git

NOTHING = "0" * 40
RULES: dict[str, Any] = {
    "image": "registry.example/x",
    "environments": [{"name": "dev", "branch": "main"}, {"name": "prod", "branch": "production"}],
}


def model(folder: str, **more: Any) -> dict[str, str]:
    name = folder.rpartition("/")[2]
    stage = "stages:\n  train: {cmd: x, deps: [train.py, ../shared/f.csv], outs: [m.bin]}\n"
    return {
        f"{folder}/promotion.yaml": json.dumps({"model": name, **RULES, **more}),
        f"{folder}/dvc.yaml": f"{stage}artifacts: {{{name}: {{path: m.bin}}}}\n",
        f"{folder}/train.py": "1",
    }


class Told(NamedTuple):
    code: int
    log: str


class Place:
    """A remote with a clone, and the job of an event in it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", top / "remote"])
        process.run(["git", "init", "--quiet", "--initial-branch=main", top / "work"])
        self.git = Git(top / "work")
        self.git.run("remote", "add", "origin", f"file://{top}/remote")
        self.git.run("config", "user.name", "Ada")
        self.git.run("config", "user.email", "ada@example.org")
        self.first = self.commit(
            model("churn") | model("fraud") | {"shared/f.csv": "1", "README.md": "1"}
        )

    def commit(
        self,
        files: Mapping[str, str | None],
        branch: str = "main",
        start: str = "",
        *,
        push: bool = True,
    ) -> str:
        if start:
            self.git.run("checkout", "--quiet", "--detach", start)
        for name, text in files.items():
            file = self.git.directory / name
            if text is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        self.git.run("add", "--all")
        self.git.run("commit", "--quiet", "--allow-empty", "-m", "change")
        if push:
            self.git.run("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return self.head

    def merge(self, *others: str) -> str:
        self.git.run("merge", "--quiet", "--no-ff", "-m", "merge", *others)
        return self.head

    @property
    def head(self) -> str:
        return self.git.run("rev-parse", "HEAD").strip()

    def run(
        self, name: str = "", event: Any = None, cwd: Path | None = None, **inputs: str
    ) -> Told:
        """Run the action in this process, as a step of a job whose checkout is in `cwd`."""
        file, outputs = self.top / "event.json", self.top / "outputs"
        file.write_text(json.dumps(event or {}), "utf-8")
        outputs.unlink(missing_ok=True)
        where = cwd or self.git.directory
        env = {
            "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(file),
            "GITHUB_SHA": Git(where).run("rev-parse", "HEAD").strip(), "GITHUB_REF": "refs/heads/main",
            "GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(self.top / "summary.md"),
        }  # fmt: skip
        given = [f"--{key}={value}" for key, value in inputs.items()]
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(io.StringIO()) as told,
        ):
            for key, value in env.items():
                patch.setenv(key, value)
            patch.chdir(where)
            with contextlib.redirect_stderr(told):
                code = main(["changed-models", *given])
        return Told(code, told.getvalue())

    def models(self, *args: Any, **more: Any) -> list[dict[str, Any]]:
        done = self.run(*args, **more)
        assert done.code == 0, done.log
        lines = (self.top / "outputs").read_text("utf-8").splitlines()
        values = dict(zip((one.partition("<<")[0] for one in lines[::3]), lines[1::3], strict=True))
        found = json.loads(values["models"])
        assert values["any"] == ("true" if found else "false")
        return list(found)

    def folders(self, *args: Any, **more: Any) -> list[str]:
        return [one["folder"] for one in self.models(*args, **more)]

    def pushed(self, before: str, *, deleted: bool = False, **more: Any) -> list[str]:
        return self.folders("push", {"before": before, "deleted": deleted}, **more)

    def proposed(self, base: str = "main", **more: Any) -> list[str]:
        return self.folders("pull_request", self.pull_request(base), **more)

    def pull_request(self, base: str = "main") -> Any:
        tip = self.git.run("ls-remote", "origin", f"refs/heads/{base}").partition("\t")[0]
        own = {"full_name": "acme/x"}
        head = {"ref": "experiment/a", "sha": self.head, "repo": own}
        return {
            "pull_request": {
                "number": 1,
                "head": head,
                "base": {"ref": base, "sha": tip, "repo": own},
            }
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_push_touches_what_it_changes(place: Place) -> None:
    second = place.commit({"churn/train.py": "2"})
    (found,) = place.models("push", {"before": place.first})
    assert found == {
        "config": "churn/promotion.yaml", "folder": "churn", "model": "churn:churn", "new": False
    }  # fmt: skip
    third = place.commit({"shared/f.csv": "2"})
    assert place.pushed(second) == ["churn", "fraud"]
    place.commit({"README.md": "2"})
    assert place.pushed(third) == []
    assert "### Touched: No model" in (place.top / "summary.md").read_text("utf-8")
    # The push that made the branch, and what is of no change: all.
    for name, event in (
        ("push", {"before": NOTHING}),
        ("schedule", {}),
        ("workflow_dispatch", {}),
        ("", {}),
    ):
        assert place.folders(name, event) == ["churn", "fraud"]


def test_a_pull_request_touches_what_it_adds_to_its_base(place: Place) -> None:
    place.commit({"fraud/train.py": "2"})  # the base has moved on since
    place.commit({"churn/train.py": "2"}, "experiment/a", place.first)
    assert place.proposed() == ["churn"]
    # With the base merged into it, and as the merge that a runner checks out by itself.
    place.merge("origin/main")
    assert place.proposed() == ["churn"]
    assert place.folders("", {}, base="main") == ["churn"]
    # What the merge itself slips in counts.
    place.commit({"fraud/train.py": "evil"}, "experiment/a")
    assert place.proposed() == ["churn", "fraud"]


def test_histories_that_were_joined_twice_hide_nothing(place: Place) -> None:
    ours = place.commit({"churn/train.py": "2"})
    theirs = place.commit({"fraud/train.py": "2"}, "experiment/a", place.first)
    crossed = place.merge(ours)
    place.git.run("checkout", "--quiet", "--detach", ours)
    place.merge(theirs)
    place.git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    place.git.run("checkout", "--quiet", "--detach", crossed)
    assert place.git.run("merge-base", "--all", "origin/main", "HEAD").count("\n") == 2
    # Against one of the two bases alone one model would be missing.
    assert place.proposed() == ["churn", "fraud"]


def test_a_history_of_its_own_touches_every_model(place: Place) -> None:
    place.git.run("checkout", "--quiet", "--orphan", "other")
    place.commit({"README.md": "other"}, "other")
    assert place.proposed() == ["churn", "fraud"]


def test_new_renamed_and_removed_models(place: Place) -> None:
    place.commit(model("eu/spam"), "experiment/a")
    (found,) = place.models("pull_request", place.pull_request())
    assert (found["model"], found["new"]) == ("eu/spam:spam", True)
    place.git.run("checkout", "--quiet", "--detach", place.first)
    place.git.run("mv", "churn", "retention")
    place.commit({}, "experiment/a")
    done = place.run("pull_request", place.pull_request())
    assert "::warning" in done.log
    assert "churn/promotion.yaml is removed" in done.log
    (found,) = place.models("pull_request", place.pull_request())
    assert (found["folder"], found["new"]) == ("retention", True)
    place.commit(dict.fromkeys(model("fraud")), "experiment/a", place.first)
    assert place.proposed() == []


def test_a_change_can_not_take_itself_out(place: Place) -> None:
    base = place.commit(model("fraud", watch=["../libs"]) | {"libs/a.py": "1"}, start=place.first)
    # It drops nothing of what the base watches, as promotion.yaml itself is the model's.
    place.commit(model("fraud", watch=[]) | {"libs/a.py": "2"}, "experiment/a", base)
    assert place.proposed() == ["fraud"]
    # In the shared project, which is in no model's folder, the base's dvc.yaml counts too.
    shared = {
        "shared/dvc.yaml": "stages:\n  f: {cmd: x, deps: [../raw.py], outs: [f.csv]}\n",
        "raw.py": "1",
    }
    place.commit(shared, start=base)
    tip = place.head
    place.commit({"raw.py": "2", "shared/dvc.yaml": None}, "experiment/a", tip)
    assert place.proposed() == ["churn", "fraud"]
    place.commit({"raw.py": "2"}, "experiment/a", tip)
    assert place.proposed() == ["churn", "fraud"]


def test_a_queue_a_closed_pull_request_and_a_forced_push(place: Place) -> None:
    place.commit({"churn/train.py": "2"}, "experiment/a")
    queued = {
        "merge_group": {
            "base_ref": "refs/heads/main",
            "base_sha": place.first,
            "head_sha": place.head,
        }
    }
    assert place.folders("merge_group", queued) == ["churn"]
    event = place.pull_request()
    event["pull_request"] |= {"merged": True, "merge_commit_sha": place.head, "commits": 1}
    assert place.folders("pull_request", event) == ["churn"]
    old = place.head
    place.commit({"fraud/train.py": "2"}, start=place.first)
    assert place.pushed(old) == ["churn", "fraud"]
    # A commit that nobody has any more: all, and a warning.
    done = place.run("push", {"before": "d" * 40})
    assert (done.code, "can't be fetched" in done.log) == (0, True)


def test_a_shallow_checkout_gets_what_it_lacks_or_says_so(place: Place) -> None:
    place.commit({"fraud/train.py": "2"})
    place.commit({"churn/train.py": "2"}, "experiment/a", place.first)
    event = place.pull_request()
    for name, reachable in (("shallow", True), ("lonely", False)):
        folder = place.top / name
        process.run(
            [
                "git",
                "clone",
                "--quiet",
                "--depth=1",
                "--branch",
                "experiment/a",
                f"file://{place.top}/remote",
                folder,
            ]
        )
        if not reachable:
            Git(folder).run("remote", "set-url", "origin", f"file://{place.top}/gone")
            done = place.run("pull_request", event, folder)
            assert done.code == 4, done.log
        else:
            assert place.folders("pull_request", event, folder) == ["churn"]
    # A push needs the two commits only.
    folder = place.top / "pushed"
    process.run(["git", "clone", "--quiet", "--depth=1", f"file://{place.top}/remote", folder])
    assert place.pushed(place.first, cwd=folder) == ["fraud"]
    assert Git(folder).is_shallow()


def test_hostile_names_are_data(place: Place) -> None:
    names = [
        'churn/a\n::set-output name=any::"',
        "$(touch pwned)/x",
        "-rf",
        "fraud.`id`/y",
        "churn ",
    ]
    place.commit(dict.fromkeys(names, "1"))
    assert place.pushed(place.first) == ["churn"]
    assert not any(path.name == "pwned" for path in place.top.rglob("*"))
    os.mkfifo(place.git.directory / "pipe")
    # A folder that GTO takes no name of is refused by its name, unless it is no model's.
    place.commit({"ex amples/promotion.yaml": json.dumps({"model": "x", **RULES})})
    done = place.run("push", {"before": place.first})
    assert (done.code, "takes no folder of that name" in done.log) == (2, True)
    assert place.pushed(place.first, ignore="ex amples") == ["churn"]


def test_a_link_touches_what_it_leads_to(place: Place) -> None:
    (place.git.directory / "fraud/common").symlink_to("../common")
    (place.git.directory / "fraud/top").symlink_to("..")
    before = place.commit({"common/a.py": "1"})
    second = place.commit({"common/a.py": "2"})
    assert place.pushed(before) == ["fraud"]
    place.commit({"README.md": "2"})
    assert place.pushed(second) == []
    (place.git.directory / "churn/promotion.yaml").unlink()
    (place.git.directory / "churn/promotion.yaml").symlink_to("../fraud/promotion.yaml")
    place.commit({})
    done = place.run("push", {"before": second})
    assert (done.code, "it is a link" in done.log) == (2, True), done.log


def test_a_deleted_branch_touches_nothing(place: Place) -> None:
    tip = place.commit({"churn/train.py": "2"}, "experiment/a")
    place.git.run("checkout", "--quiet", "--detach", place.first)
    assert place.pushed(tip, deleted=True) == place.folders("delete", {"ref": "a"}) == []


def test_somebody_elses_promotion_yaml_can_be_ignored(place: Place) -> None:
    place.commit({"docs/promotion.yaml": "steps: []"})
    done = place.run("push", {"before": place.first})
    assert (done.code, "ignore: docs" in done.log) == (2, True)
    assert place.pushed(place.first, ignore="docs") == []


@pytest.mark.parametrize("ignore", ["/etc", "..", "."])
def test_what_is_ignored_is_below_the_top(place: Place, ignore: str) -> None:
    assert place.run("push", {"before": place.first}, ignore=ignore).code == 2


def test_a_wrong_base_and_a_broken_file_say_what_to_do(place: Place) -> None:
    done = place.run(base="nope")
    assert (done.code, "input `base` is 'nope'" in done.log) == (2, True)
    place.commit({"churn/promotion.yaml": "model: ["})
    done = place.run("push", {"before": place.first})
    assert (done.code, "churn/promotion.yaml" in done.log) == (2, True)
    # The push that mends it is compared with a broken one.
    broken = place.head
    place.commit(model("churn"))
    assert place.pushed(broken) == ["churn"]
