"""changed-components on real repositories: what a change touches, and what the deploy repository has already."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from model_gitops.__main__ import main
from model_gitops.adapters import process
from model_gitops.adapters.git import Git

RULES: dict[str, Any] = {
    "model": "m",
    "image": "registry.example/m",
    "environments": [
        {"name": "dev", "branch": "main"},
        {"name": "staging", "branch": "staging"},
        {"name": "production", "branch": "production"},
    ],
    "training": {},
}
FILES: dict[str, str | None] = {
    "src/features.py": "1",
    "src/train.py": "1",
    "src/README.md": "1",
    "lib/shared.py": "1",
    "components/preprocess/Dockerfile": "FROM scratch\nCOPY src/features.py /app/\n",
    "components/train/Dockerfile": "FROM scratch\nCOPY src/*.py /app/\nCOPY components/common /app/\n",
    "components/train/test_it.py": "1",
    "components/test/Dockerfile": "FROM scratch\nRUN --mount=source=src,target=/x true\n",
    "components/test/Dockerfile.dockerignore": "*\n!src\n*/*.md\nsrc/features.py\n",
    "components/deploy/Dockerfile": "FROM scratch\nCOPY components/deploy /app/\n",
    "components/notes.md": "no component",
}


class Told(NamedTuple):
    code: int
    log: str
    outputs: dict[str, Any]
    summary: str

    @property
    def names(self) -> list[str]:
        assert self.code == 0, self.log
        found = [str(one["component"]) for one in self.outputs["components"]]
        assert self.outputs["any"] is bool(found)
        return found


class Place:
    """A model repository with a clone, and its deploy repository."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.git = self._repository("work")
        self.overlays = self._repository("deploy")
        self._write(self.overlays, {"README.md": "1"})
        rules = {**RULES, "deploy": {"repository": str(top / "deploy.git")}}
        self.first = self.commit({**FILES, "promotion.yaml": json.dumps(rules)}, link="common")

    def _repository(self, name: str) -> Git:
        process.run(
            ["git", "init", "--quiet", "--bare", "--initial-branch=main", self.top / f"{name}.git"]
        )
        process.run(["git", "init", "--quiet", "--initial-branch=main", self.top / name])
        found = Git(self.top / name)
        found.run("remote", "add", "origin", f"file://{self.top}/{name}.git")
        found.run("config", "user.name", "Ada")
        found.run("config", "user.email", "ada@example.org")
        return found

    def commit(self, files: Mapping[str, str | None], *, link: str = "") -> str:
        if link:
            place = self.git.directory / "components" / link
            place.parent.mkdir(exist_ok=True)
            place.symlink_to("../lib")
        return self._write(self.git, files)

    def deploy(self, tags: Mapping[str, str], environment: str = "staging") -> None:
        entries = "".join(
            f"- name: m-{name}\n  newName: registry.example/m-{name}\n  newTag: {tag}\n"
            for name, tag in tags.items()
        )
        path = f"training/overlays/{environment}/kustomization.yaml"
        self._write(self.overlays, {path: f"images:\n{entries}"})

    def _write(self, repository: Git, files: Mapping[str, str | None]) -> str:
        for name, text in files.items():
            file = repository.directory / name
            if text is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        repository.run("add", "--all")
        repository.run("commit", "--quiet", "--allow-empty", "-m", "change")
        repository.run("push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
        return repository.run("rev-parse", "HEAD").strip()

    def run(self, name: str = "", event: Any = None, **inputs: str) -> Told:
        file, outputs, summary = (self.top / one for one in ("event.json", "outputs", "summary.md"))
        file.write_text(json.dumps(event or {}), "utf-8")
        for one in (outputs, summary):
            one.unlink(missing_ok=True)
        env = {
            "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(file),
            "GITHUB_SHA": self.git.run("rev-parse", "HEAD").strip(), "GITHUB_REF": "refs/heads/main",
            "GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(summary),
        }  # fmt: skip
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(io.StringIO()) as told,
            contextlib.redirect_stderr(told),
        ):
            for key, value in env.items():
                patch.setenv(key, value)
            patch.chdir(self.git.directory)
            code = main(
                ["changed-components", *(f"--{key}={value}" for key, value in inputs.items())]
            )
        lines = outputs.read_text("utf-8").splitlines() if outputs.exists() else []
        values = zip((one.partition("<<")[0] for one in lines[::3]), lines[1::3], strict=True)
        found = {key: json.loads(value) for key, value in values}
        return Told(code, told.getvalue(), found, summary.read_text("utf-8") if found else "")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("src/features.py", ["preprocess", "train"]),  # two of four; `test` ignores it
        ("src/train.py", ["test", "train"]),
        ("src/README.md", []),
        ("components/train/test_it.py", ["train"]),
        ("lib/shared.py", ["train"]),  # by the link components/common
        ("components/test/Dockerfile.dockerignore", ["test"]),
        ("components/notes.md", []),
        ("dvc.yaml", []),
    ],
)
def test_a_file_touches_the_components_that_use_it(
    place: Place, path: str, names: list[str]
) -> None:
    place.commit({path: f"{FILES.get(path, '')}\n"})
    done = place.run("push", {"before": place.first})
    assert done.names == names
    for name in names:
        assert f"| `components/{name}` | `registry.example/m-{name}` | `{path}` |" in done.summary


def test_what_a_matrix_is_told(place: Place) -> None:
    place.commit({"src/features.py": None})
    done = place.run("push", {"before": place.first})
    assert done.names == ["preprocess", "train"]  # a file that is gone was used
    assert done.outputs["components"][1] == {
        "component": "train", "folder": "components/train",
        "dockerfile": "components/train/Dockerfile", "context": ".",
        "image": "registry.example/m-train", "name": "m-train", "pipeline": 0, "config": "promotion.yaml",
        "model": "m", "environment": "dev", "new": False,
    }  # fmt: skip
    (pipeline,) = done.outputs["pipelines"]
    assert pipeline["images"] == (
        "m-preprocess=registry.example/m-preprocess\nm-train=registry.example/m-train"
    )
    assert (pipeline["path"], pipeline["next-path"], pipeline["next-environment"]) == (
        "training/overlays/staging",
        "training/overlays/production",
        "production",
    )


def test_without_a_base_each_counts_and_a_new_or_removed_one_is_said(place: Place) -> None:
    assert place.run("schedule").names == ["deploy", "preprocess", "test", "train"]
    assert place.run().names == ["deploy", "preprocess", "test", "train"]
    place.commit(
        {"components/deploy/Dockerfile": None, "components/tell/Dockerfile": "FROM scratch\n"}
    )
    done = place.run("push", {"before": place.first})
    assert done.names == ["tell"]
    assert done.outputs["components"][0]["new"] is True
    assert "components/deploy is removed" in done.log
    assert place.run(base=place.first).names == ["tell"]


def test_another_context_or_name_is_another_image(place: Place) -> None:
    rules = json.loads((place.git.directory / "promotion.yaml").read_text("utf-8"))
    rules["training"] = {"image": "registry.example/{component}"}
    place.commit({"promotion.yaml": json.dumps(rules)})
    assert len(place.run("push", {"before": place.first}).names) == 4
    place.commit({"promotion.yaml": json.dumps({**rules, "watch": ["x"]})})
    assert place.run("push", {"before": place.git.run("rev-parse", "HEAD~1").strip()}).names == []


def test_what_a_dockerfile_is_a_link_to_counts(place: Place) -> None:
    """Also by two links, one of which is a folder's."""
    top = place.git.directory
    for folder, target in (("one", "../../images/base"), ("two", "../../pictures/alias")):
        (top / "components" / folder).mkdir()
        (top / "components" / folder / "Dockerfile").symlink_to(target)
    (top / "pictures").symlink_to("images")
    (top / "images").mkdir()
    (top / "images/alias").symlink_to("base")
    (top / ".dockerignore").symlink_to("images/ignored")
    file = "FROM scratch\nCOPY lib /app/\n"
    before = place.commit({"images/base": file, "images/ignored": "", "images/other": "1"})
    for path, names in (
        ("images/base", ["one", "two"]),
        ("lib/shared.py", ["one", "train", "two"]),
        ("images/ignored", ["deploy", "one", "preprocess", "train", "two"]),
        ("images/other", []),
    ):
        after = place.commit({path: f"{file if path == 'images/base' else ''}# another\n"})
        assert place.run("push", {"before": before}).names == names, path
        before = after


def test_what_is_ignored_no_more_counts(place: Place) -> None:
    before = place.commit({".dockerignore": "src/features.py\n"})
    place.commit({".dockerignore": None})
    # `test` has a file of its own.
    assert place.run("push", {"before": before}).names == ["deploy", "preprocess", "train"]


def test_the_processes_of_git_do_not_grow_with_links(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    ordinary = process.run
    monkeypatch.setattr(process, "run", lambda *a, **k: (started.append(1), ordinary(*a, **k))[1])
    counts = []
    for number in (3, 60):
        for one in range(number):
            link = place.git.directory / "links" / f"{number}-{one}"
            link.parent.mkdir(exist_ok=True)
            link.symlink_to("../lib")
        before = place.commit({"lib/shared.py": str(number)})
        place.commit({"lib/shared.py": f"{number}."})
        started.clear()
        assert place.run("push", {"before": before}).names == ["train"]
        counts.append(len(started))
    assert counts[0] == counts[1]


def test_what_a_dockerfile_does_not_tell_counts_on_the_safe_side(place: Place) -> None:
    before = place.commit(
        {
            "components/deploy/Dockerfile": "FROM scratch\nARG WHAT\nCOPY ${WHAT} /app/\n"
            "ADD https://h.example/x.git#v0 /x\n"
        }
    )
    place.commit({"dvc.yaml": "1"})
    done = place.run("push", {"before": before})
    assert done.names == ["deploy"]
    assert "COPY ${WHAT}: its value is not in the Dockerfile" in done.summary
    assert "what `https://h.example/x.git#v0` has is not in this repository" in done.summary


def test_the_deploy_repository_says_what_is_to_be_built(place: Place) -> None:
    """What a failed run left out is built by the next push; a rerun, also of an older push, builds nothing."""
    every = ["deploy", "preprocess", "test", "train"]
    event = {"before": place.first}
    assert place.run("push", event, deployed="true").names == every  # no overlay yet
    place.deploy(dict.fromkeys(every, "not-deployed-yet"))
    done = place.run("push", event, deployed="true")
    assert done.names == every
    assert "not deployed yet" in done.summary
    place.deploy(dict.fromkeys(every, place.first))
    assert place.run("push", event, deployed="true").names == []

    missed = place.commit({"src/features.py": "2"})  # its run failed
    later = place.commit({"components/deploy/x.py": "2"})
    assert place.run("push", {"before": missed}, deployed="true").names == [
        "deploy", "preprocess", "train"
    ]  # fmt: skip
    place.deploy(
        {
            "deploy": later,
            "preprocess": f"{later}-0123456789ab",
            "test": place.first,
            "train": missed,
        }
    )
    assert place.run("push", {"before": missed}, deployed="true").names == []
    place.git.run("checkout", "--quiet", missed)  # the older push again, after the newer one
    assert place.run("push", event, deployed="true").names == []
    place.git.run("checkout", "--quiet", "main")
    place.deploy({"deploy": "latest", "preprocess": later, "test": "0" * 40, "train": later})
    done = place.run("push", event, deployed="true")
    assert done.names == ["deploy", "test"]
    assert "its tag `latest` is no commit" in done.summary
    assert "that it was built from is not there" in done.summary
    # Who writes the deploy repository writes no Markdown here.
    place.deploy({**dict.fromkeys(every, later), "deploy": "'<img src=x> | x'"})
    assert (
        "its tag `<img src=x> x` is no commit" in place.run("push", event, deployed="true").summary
    )


def test_several_models_each_have_their_components(place: Place) -> None:
    rules = json.loads((place.git.directory / "promotion.yaml").read_text("utf-8"))
    more = {
        f"churn/{name}": text
        for name, text in FILES.items()
        if name.startswith(("components/", "src/"))
    }
    rules = {**rules, "model": "churn", "image": "registry.example/churn"}
    rules["training"] = {"path": "{model}/training/{environment}"}
    before = place.commit({**more, "churn/promotion.yaml": json.dumps(rules)})
    done = place.run("push", {"before": place.first})
    assert [one["folder"] for one in done.outputs["components"]] == [
        f"churn/components/{name}" for name in ("deploy", "preprocess", "test", "train")
    ]
    assert {one["context"] for one in done.outputs["components"]} == {"churn"}
    assert done.outputs["pipelines"][0]["path"] == "churn/training/staging"
    place.commit({"churn/src/features.py": "2"})
    done = place.run("push", {"before": before})
    assert [one["image"] for one in done.outputs["components"]] == [
        "registry.example/churn-preprocess",
        "registry.example/churn-train",
    ]
    assert place.run("push", {"before": before}, ignore="churn").names == []
    assert place.run("push", {"before": before}, config="promotion.yaml").names == []
    assert len(place.run("schedule", config="churn").names) == 4
    assert place.run("schedule", config="nowhere").code == 2


def test_its_time_is_that_of_its_models(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of git grow by the models, not by their square."""
    rules = {key: value for key, value in RULES.items() if key != "training"}
    started = 0
    ordinary = process.run

    def counted(*args: Any, **more: Any) -> Any:
        nonlocal started
        started += 1
        return ordinary(*args, **more)

    monkeypatch.setattr(process, "run", counted)
    counts = []
    for number in (10, 20, 30):
        files = {
            f"m{one}/{name}": text
            for one in range(number)
            for name, text in (
                ("promotion.yaml", json.dumps({**rules, "model": f"m{one}"})),
                ("components/a/Dockerfile", "FROM scratch\nCOPY src /src\n"),
                ("src/a.py", str(number)),
            )
        }
        before = place.git.run("rev-parse", "HEAD").strip()
        place.commit(files)
        started = 0
        assert len(place.run("push", {"before": before}).names) == number
        counts.append(started)
    assert counts[2] - counts[1] == counts[1] - counts[0] <= 80
