"""Every input of every action, and every file that a stranger may write, tried with hostile values.

Real git runs; docker and oras are small stand-ins that answer, as only their arguments are of interest
here. After each run: a documented exit code, no ref or file changed but what was asked for, no program
started but these, nothing left in the temporary folder, no workflow command in the log.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hostile_arena import Arena, built, check_markdown, check_rendered, written
from hostile_project import GOOD, READS
from hostile_values import DOCUMENTS, TEXTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_gitops import options
from model_gitops.actions import ACTIONS
from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops_local.forge import Forge

FULL = os.environ.get("MODEL_GITOPS_RELIABILITY") == "full"
# (examples of inputs of an action, examples of documents of an action)
MANY, MANY_DOCUMENTS = (800, 150) if FULL else (45, 15)


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with built(tmp_path_factory.mktemp("arena")) as made:
        yield made


def examples(count: int) -> settings:
    return settings(
        max_examples=count,
        derandomize=not FULL,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def hostile(good: str) -> st.SearchStrategy[str]:
    texts = st.sampled_from(TEXTS)
    return st.one_of(
        texts,
        texts,
        texts.map(lambda text: (good + text)[:300_000]),
        texts.map(lambda text: f"{good}\n{text}"[:300_000]),
        st.text(st.characters(exclude_categories=()), max_size=40),
    )


@pytest.mark.parametrize("action", ACTIONS)
def test_no_input_of_an_action_lets_anything_in(action: str, arena: Arena, numbers: Any) -> None:
    module = importlib.import_module(f"model_gitops.actions.{action.replace('-', '_')}")
    names = [one.name for one, _ in options.inputs_of(module.command).values()]
    arena.begin()
    assert arena.run(action, GOOD[action]).code == 0, "the good inputs are good"

    @examples(MANY)
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        given_inputs = dict(GOOD[action])
        for name in data.draw(
            st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)
        ):
            given_inputs[name] = data.draw(hostile(given_inputs.get(name, "")))
        arena.run(action, given_inputs)

    holds()
    numbers(f"hostile inputs of {action}: {arena.runs} fuzzed, 0 failures")


ODD_SCALARS = (b"!!bool x", b"!!int ''", b"!!float ''", b"!<tag:yaml.org,2002:bool> z")
# What earlier runs of the long form found: an action, its inputs, and a file of the checkout.
FOUND: list[tuple[str, dict[str, str], str, bytes]] = [
    ("dvc-pull-model", {"jobs": "9" * 5000}, "", b""),
    ("build-push-image", {}, ".dockerignore", b"\xff\xfe\x00"),
    ("cml-report", {}, "body.md", b"<script>pwned()</script>"),
    ("cml-report", {}, "params.yaml", b"a: 0x" + b"f" * 6000),
    ("bump-kustomize-tag", {}, "kustomization.yaml", b"Images:\n- name: m\n"),
    ("bump-kustomize-tag", {}, "kustomization.yaml", b"images:\n- name: m\n  newtag: v1\n"),
    ("bump-kustomize-tag", {}, "kustomization.yaml", b"images:\n" + b"- name: x\n" * 60_000),
    *(
        (action, {}, name, b"artifacts: " + scalar)
        for action, name in (
            ("check-promotion", "promotion.yaml"), ("gate-metrics", "promotion.yaml"),
            ("dvc-pull-model", "dvc.yaml"), ("gto-register-stage", "dvc.yaml"),
        )
        for scalar in ODD_SCALARS
    ),
]  # fmt: skip


@pytest.mark.parametrize(("action", "inputs", "name", "content"), FOUND, ids=range(len(FOUND)))
def test_what_was_found_once_stays_mended(
    action: str, inputs: dict[str, str], name: str, content: bytes, arena: Arena
) -> None:
    with written(arena, action, name, content) if name else contextlib.nullcontext():
        ended = arena.run(action, {**GOOD[action], **inputs})
    assert ended.code == (0 if name in ("body.md", "params.yaml") else 2), ended.log


def look_alikes(name: str) -> list[str]:
    """Return names that look like `name`, or that a careless comparison takes for it."""
    cyrillic = name.translate(str.maketrans("aeiopc", "\u0430\u0435\u0456\u043e\u0440\u0441"))
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in name)
    odd = [f"{name}\u200b", f"\ufeff{name}", f"{name[0]}\u00ad{name[1:]}", f"{name}\u0301"]
    spaced = [f"{name}\u00a0", f"\u202e{name[::-1]}\u202c", f"{name}\u2028", name.upper()]
    return [one for one in [cyrillic, wide, *odd, *spaced] if one != name]


@pytest.mark.parametrize(
    ("action", "name", "good", "pattern"),
    [
        ("check-promotion", "base-ref", "main", "{}"),
        ("check-promotion", "head-ref", "main", "{}"),
        ("dvc-pull-model", "model", "m", "{}"),
        ("gto-register-stage", "model", "m", "{}"),
        ("gto-register-stage", "stage", "dev", "{}"),
        ("bump-kustomize-tag", "branch", "main", "{}"),
        ("bump-kustomize-tag", "path", "overlays/dev", "{}"),
        ("bump-kustomize-tag", "images", "m", "{}=:v2"),
    ],
)
def test_a_look_alike_of_a_name_is_refused(
    action: str, name: str, good: str, pattern: str, arena: Arena
) -> None:
    others = {"base-ref": "production", "head-ref": "main"} if name == "head-ref" else {}
    for alike in look_alikes(good):
        ended = arena.run(action, {**GOOD[action], **others, name: pattern.format(alike)})
        assert ended.code in (2, 3), (ascii(alike), ended.log)
        # What a person reads must show that it is another name.
        if action == "check-promotion":
            assert alike == alike.upper() or alike not in ended.log, ascii(alike)


NAMES = [
    "", "..", "../actions/check-promotion", "check-promotion/", "check-promotion local", "*", "dev\n::error::pwned",
    "$(touch pwned)", "; touch pwned", "--extra=local", "\u0441heck-promotion", "a" * 10_000, "check-promotion]", "README.md",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_the_shell_runs_what_is_an_action_and_nothing_else(name: str, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "scripts" / "run.sh"
    done = process.run(
        ["bash", script, name],
        cwd=tmp_path,
        env={"GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(tmp_path / "cache")},
        check=False,
    )
    assert done.returncode != 0
    assert "pwned" not in done.stdout + done.stderr.replace(str(script), "")
    assert list(tmp_path.iterdir()) == []


class TestAPullRequestOfABump:
    """Its title and body hold what strangers write: the message, trailers, names of images."""

    TEXTS = (
        "@octocat #1 https://evil.example",
        "<script>pwned()</script><img src=x onerror=pwned()>",
        "![x](https://evil.example/pwned.png) [y](https://evil.example)",
        "` | </details> <!-- | **b** `@octocat`",
        "a\r::set-output name=x::pwned",
        "x" * 900,
        "\u202epwned\u200b",
    )

    @pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
    def test_shows_them_as_they_are(self, text: str, arena: Arena) -> None:
        name = re.sub(r"[\s=]", "", text) if text.isprintable() else "m"
        content = yaml.safe_dump({"images": [{"name": name, "newTag": text}]}).encode()
        with (
            Forge(arena.top / "runner-forge") as forge,
            pytest.MonkeyPatch.context() as patch,
            written(arena, "bump-kustomize-tag", "kustomization.yaml", content),
        ):
            forge.add_token("token", "deployer[bot]")
            forge.add_repository("acme/deploy", arena.top / "deploy.git")
            patch.setattr(arena, "server", forge.url)
            patch.setattr(arena, "api", forge.api_url)
            ended = arena.run(
                "bump-kustomize-tag",
                {
                    **GOOD["bump-kustomize-tag"],
                    "repository": "acme/deploy",
                    "mode": "pull-request",
                    "token": "token",
                    "images": f"{name}=ghcr.io/acme/m:v2",
                    "message": f"{text}\n\n{text}",
                    "trailers": f"Model: {text.partition(chr(13))[0]}",
                },
                may_change=[
                    ("deploy.git", r"refs/heads/model-gitops/bump-[a-z0-9-]+"),
                    ("deploy.git", r"refs/pull/\d+/(head|merge)"),  # the server's own
                ],
            )
            assert ended.outputs["operation"] == "opened", ended.log
            pull = GitHub("acme/deploy", "token", api_url=forge.api_url).pull_request(
                int(ended.outputs["pull-request"].rpartition("/")[2])
            )
            assert pull.title == pull.title.splitlines()[0]
            assert len(pull.title) <= 200
            check_markdown(pull.body)
            check_rendered(pull.body)
        shutil.rmtree(arena.top / "runner-forge")
        Git(arena.top / "deploy.git").run("update-ref", "-d", f"refs/heads/{pull.head_ref}")


LEAVES = st.one_of(
    st.sampled_from([text.replace("\0", "") for text in TEXTS]),
    st.sampled_from([None, True, -1, 10**400, 1e308, [], {}, [[]], {"a": {"b": []}}, [None]]),
)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            found += places(value, (*path, key))
    return found


def replaced(data: Any, path: tuple[Any, ...], leaf: Any) -> Any:
    if not path:
        return leaf
    copy = data.copy()
    copy[path[0]] = replaced(copy[path[0]], path[1:], leaf)
    return copy


def structured(good: Any) -> st.SearchStrategy[bytes]:
    """Return documents that are right but for one place, as JSON, which is YAML too."""
    return st.builds(
        lambda path, leaf: json.dumps(replaced(good, path, leaf)).encode(),
        st.sampled_from(places(good)),
        LEAVES,
    )


@pytest.mark.parametrize("action", READS)
def test_no_file_that_an_action_reads_lets_anything_in(
    action: str, arena: Arena, numbers: Any
) -> None:
    arena.runs = 0

    @examples(MANY_DOCUMENTS * len(READS[action]))
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(READS[action])))
        good = READS[action][name]
        links = st.sampled_from(
            [arena.top / "outside/secret.txt", Path("loop"), Path("/etc/passwd")]
        )
        documents = st.sampled_from(DOCUMENTS)
        hostile_texts = st.sampled_from(TEXTS).map(
            lambda text: text.encode("utf-8", "surrogatepass")
        )
        shapes = [documents, hostile_texts if isinstance(good, str) else structured(good)]
        if name != "event.json":
            shapes.append(links)
        content = data.draw(st.one_of(*shapes))
        given_inputs = dict(GOOD[action])
        if name == "smoke.yaml":
            given_inputs["smoke-test"] = name
        if action == "gate-metrics":
            given_inputs["baseline"] = data.draw(st.sampled_from(["", "HEAD"]))
        with written(arena, action, name, content):
            arena.run(action, given_inputs)

    holds()
    numbers(f"hostile files of {action}: {arena.runs} fuzzed, 0 failures")
