"""trace-model and status: a real registry, Git over HTTP, tags and deploy commits by our own actions.

Each test tampers with one link of a chain that was whole, and sees it named with both its sides.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.adapters.git_credentials import token_credentials
from model_gitops.adapters.github import GitHub
from model_gitops.options import variable
from model_gitops_local import toolchain
from model_gitops_local.forge import Forge
from model_gitops_local.forge.openapi import strict_forge

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
MODEL, DEPLOY, TOKEN, READER = "acme/diabetes", "acme/deploy", "writer-token", "reader-token"
HASHES = {"better": "b" * 32, "worse": "c" * 32}
RAW = "a" * 32
ENVIRONMENTS = {"dev": "main", "staging": "staging", "production": "production"}
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def schema(name: str) -> Any:
    return json.loads((SCRIPTS / "model_gitops" / f"{name}.schema.json").read_text("utf-8"))


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def push_image(registry: str, name: str, tag: str, labels: dict[str, str], salt: str = "") -> str:
    """Push an image without layers, with `labels`; return its digest."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "author": salt,
            "config": {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": []},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": f"sha256:{hashlib.sha256(config).hexdigest()}",
                "size": len(config),
            },
            "layers": [],
        }
    ).encode()
    connection = http.client.HTTPConnection(registry)

    def ask(
        method: str, path: str, body: bytes = b"", kind: str = "application/octet-stream"
    ) -> Any:
        connection.request(method, path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        answer.read()
        assert answer.status < 300, (method, path, answer.status)
        return answer

    place = ask("POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
    blob = f"sha256:{hashlib.sha256(config).hexdigest()}"
    ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={blob}", config)
    answer = ask("PUT", f"/v2/{name}/manifests/{tag}", manifest, MANIFEST)
    connection.close()
    return str(answer.headers["Docker-Content-Digest"])


@dataclass
class Told:
    """One run: exit code, standard output, the rest of what it printed, and its outputs."""

    code: int
    answer: str
    log: str


@dataclass
class World:
    """A model repository and a deploy repository on a forge, and images in a registry."""

    top: Path
    registry: str
    forge: Forge
    env: dict[str, str]

    @property
    def image(self) -> str:
        return f"{self.registry}/{self.top.name.lower()}/diabetes"

    @property
    def work(self) -> Git:
        return Git(self.top / "work")

    def run(self, action: str, cwd: Path | None = None, **inputs: str) -> Told:
        given = {variable(name.replace("_", "-")): value for name, value in inputs.items()}
        words = [sys.executable, "-I", SCRIPTS, action]
        env = {**self.env, **given}
        done = process.run(words, cwd=cwd or self.work.directory, env=env, check=False)
        return Told(done.returncode, done.stdout, done.stderr)

    def trace(self, subject: str, **inputs: str) -> tuple[Told, Any]:
        tokens = {"token": READER, "source_token": READER}
        told = self.run("trace-model", subject=subject, json="true", **{**tokens, **inputs})
        return told, json.loads(told.answer) if told.answer else None

    def status(self, **inputs: str) -> tuple[Told, Any]:
        tokens = {"token": READER, "source_token": READER}
        told = self.run("status", json="true", **{**tokens, **inputs})
        return told, json.loads(told.answer) if told.answer else None

    def clone(self, repository: str, name: str) -> Git:
        folder = self.top / name
        url = f"{self.forge.url}/{repository}.git"
        process.run(["git", "init", "--quiet", "--initial-branch=main", folder])
        git = Git(folder)
        git.run("remote", "add", "origin", url)
        header = token_credentials(url, TOKEN).env["GIT_CONFIG_VALUE_1"]
        git.run("config", f"http.{self.forge.url}/.extraheader", header)
        git.run("config", "user.name", "Ada")
        git.run("config", "user.email", "ada@example.com")
        return git

    def commit(self, git: Git, files: dict[str, str], branch: str, message: str = "change") -> str:
        for name, text in files.items():
            file = git.directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        git.run("add", "--all")
        git.run("commit", "--quiet", "--allow-empty", "-m", message)
        git.run("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return git.run("rev-parse", "HEAD").strip()

    def files(self, model: str, epochs: int) -> dict[str, str]:
        r2 = {"better": 0.455, "worse": 0.111}[model]
        metrics, train = json.dumps({"r2": r2}), f"train {model}\n"
        params = f"train: {{epochs: {epochs}}}\n"
        lock = {
            "schema": "2.0",
            "stages": {
                "train": {
                    "cmd": "x",
                    "deps": [
                        {"path": "data.csv", "hash": "md5", "md5": RAW, "size": 1},
                        {"path": "train.py", "hash": "md5", "md5": md5(train), "size": 1},
                    ],
                    "params": {"params.yaml": {"train.epochs": epochs}},
                    "outs": [{"path": "m.bin", "hash": "md5", "md5": HASHES[model], "size": 1}],
                },
                "evaluate": {
                    "cmd": "x",
                    "deps": [{"path": "m.bin", "hash": "md5", "md5": HASHES[model], "size": 1}],
                    "outs": [
                        {"path": "metrics.json", "hash": "md5", "md5": md5(metrics), "size": 1}
                    ],
                },
            },
        }
        return {
            "dvc.yaml": "stages:\n  train: {cmd: x, deps: [data.csv, train.py], params: [train.epochs],"
            " outs: [m.bin]}\n"
            "  evaluate: {cmd: x, deps: [m.bin], metrics: [metrics.json]}\n"
            "artifacts:\n  diabetes: {path: m.bin, type: model}\n",
            "dvc.lock": json.dumps(lock, indent=1),
            "data.csv.dvc": f"outs:\n- {{path: data.csv, hash: md5, md5: {RAW}}}\n",
            "train.py": train,
            "params.yaml": params,
            "metrics.json": metrics,
        }

    def labels(self, commit: str, model: str) -> dict[str, str]:
        return {
            "io.model-gitops.model.name": "diabetes",
            "io.model-gitops.model.hash": HASHES[model],
            "org.opencontainers.image.revision": commit,
        }

    def deploy(
        self, environment: str, commit: str, digest: str, *, merged: bool = True, **more: str
    ) -> Told:
        """What deploy.yml does for a merge: bump; production by a pull request, `merged` or not."""
        by_pull = environment in ("production", "empty")
        self.work.run("checkout", "--quiet", "--detach", commit)
        told = self.run(
            "bump-kustomize-tag",
            repository=DEPLOY,
            path=f"overlays/{environment}",
            token=TOKEN,
            mode="pull-request" if by_pull else "push",
            **{
                "images": f"diabetes={self.image}:{commit}@{digest}",
                "trailers": f"Model: diabetes@{more.pop('version', 'v0.0.1')}\n"
                f"Model-Hash: {more.pop('model_hash', HASHES['better'])}\n"
                f"Source-Repository: {MODEL}\nSource-Commit: {commit}",
                **more,
            },
        )
        assert told.code == 0, told.log
        if by_pull and merged:
            (pull,) = self.waiting()
            merge(self, DEPLOY, pull.head_ref, "main", approve=False)
        return told

    def waiting(self) -> list[Any]:
        """The open pull requests of the deploy repository."""
        return GitHub(DEPLOY, TOKEN, api_url=self.forge.api_url).open_pull_requests("main")

    def assign(self, stage: str, commit: str) -> None:
        self.work.run("checkout", "--quiet", "--detach", commit)
        told = self.run("gto-register-stage", model="diabetes", stage=stage)
        assert told.code == 0, told.log


@pytest.fixture(scope="module")
def settings(docker_engine: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a child needs: docker's command line with buildx. No engine is asked."""
    config = tmp_path_factory.mktemp("docker")
    (config / "cli-plugins").mkdir()
    (config / "cli-plugins" / "docker-buildx").symlink_to(toolchain.ensure("docker-buildx"))
    return {"DOCKER_CONFIG": str(config)}


@pytest.fixture(scope="module")
def whole(
    registry: str, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A model that went from an experiment to production, by approved pull requests."""
    top = tmp_path_factory.mktemp("whole")
    with strict_forge(top / "forge") as forge:
        for token, login in ((TOKEN, "ada"), ("second-token", "grace")):
            forge.add_token(token, login)
        forge.add_token(READER, "reader[bot]", {"contents": "read", "pull_requests": "read"})
        for name, repository in (("model", MODEL), ("deploy", DEPLOY)):
            bare = top / f"{name}.git"
            process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
            forge.add_repository(repository, bare)
        env = {**settings, "GITHUB_API_URL": forge.api_url, "GITHUB_SERVER_URL": forge.url}
        world = World(top, registry, forge, env)
        _play(world)
        yield world


def _play(world: World) -> None:
    overlays = {
        f"overlays/{name}/kustomization.yaml": "images:\n- name: diabetes # ours\n"
        f"  newName: {world.image}\n  newTag: not-deployed-yet\n"
        for name in (*ENVIRONMENTS, "empty")
    }
    world.commit(world.clone(DEPLOY, "deploy"), overlays, "main")
    work = world.clone(MODEL, "work")
    environments = [
        {"name": name, "branch": branch, "deploy": "push"} for name, branch in ENVIRONMENTS.items()
    ]
    environments.append({"name": "empty", "branch": "empty"})
    for one in environments[-2:]:
        one["deploy"] = "pull-request"
    promotion = {
        "model": "diabetes",
        "image": world.image,
        "deploy": {"repository": DEPLOY},
        "environments": environments,
        "gate": [{"metric": "metrics.json:r2", "better": "higher"}],
    }
    first = world.commit(work, {"promotion.yaml": json.dumps(promotion)}, "main")
    for branch in ("staging", "production"):
        work.run("push", "--quiet", "origin", f"{first}:refs/heads/{branch}")
    head = world.commit(work, world.files("better", 60), "experiment/better")
    world.assign("", head)
    digest = push_image(
        world.registry, world.image.partition("/")[2], head, world.labels(head, "better")
    )
    before = "experiment/better"
    for name, branch in ENVIRONMENTS.items():
        commit = merge(world, MODEL, before, branch, approve=True)
        work.run("fetch", "--quiet", "origin")
        again = push_image(
            world.registry, world.image.partition("/")[2], commit, world.labels(head, "better")
        )
        assert again == digest
        world.assign(name, commit)
        world.deploy(name, commit, digest)
        before = branch
    work.run("fetch", "--quiet", "--tags", "origin")


def api(repository: str, world: World, token: str = TOKEN) -> Any:
    from github import Auth, Github

    client = Github(auth=Auth.Token(token), base_url=world.forge.api_url, retry=None)
    return client.get_repo(repository)


def merge(world: World, repository: str, head: str, base: str, *, approve: bool) -> str:
    """Open a pull request (or take the open one), let another person approve it, and merge it."""
    ada, grace = api(repository, world), api(repository, world, "second-token")
    found = [pull for pull in ada.get_pulls("open", base=base) if pull.head.ref == head]
    pull = found[0] if found else ada.create_pull(base=base, head=head, title=head, body="")
    if approve:
        grace.get_pull(pull.number).create_review(event="APPROVE")
    return str(ada.get_pull(pull.number).merge(merge_method="merge").sha)


@pytest.fixture
def world(whole: World, tmp_path: Path) -> Iterator[World]:
    """A copy of the whole world that a test may tamper with: the images are its own, too."""
    before = {name: whole.top / name for name in ("model.git", "deploy.git", "work")}
    kept = tmp_path / "kept"
    for name, folder in before.items():
        shutil.copytree(folder, kept / name, symlinks=True)
    yield whole
    for name, folder in before.items():
        shutil.rmtree(folder)
        shutil.copytree(kept / name, folder, symlinks=True)
    # Tags of the registry are set again as they were.
    for commit in ("main", "staging", "production"):
        sha = whole.work.commit_of(f"origin/{commit}") or ""
        head = whole.work.commit_of("origin/experiment/better") or ""
        name = whole.image.partition("/")[2]
        push_image(whole.registry, name, sha, whole.labels(head, "better"))


def links(document: Any) -> dict[str, str]:
    return {f"{one['from']} → {one['to']}": one["state"] for one in document["links"]}


# --- the whole chain -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_is_traced_to_its_data(whole: World, name: str) -> None:
    told, found = whole.trace(name)
    assert told.code == 0, told.log
    jsonschema.validate(found, schema("trace"), format_checker=jsonschema.FormatChecker())
    assert found["verified"] is True
    expected = [
        "overlay → deploy commit",
        "overlay → registry",
        "image → model",
        "image → build commit",
        "image → source commit",
        "deploy commit → source commit",
        "deploy commit → model",
        "branch → source commit",
        "version → model",
        "stage → version",
        "model → data",
        "source commit → pull request",
    ]
    if name == "production":
        expected.append("deploy commit → deploy pull request")
    assert links(found) == dict.fromkeys(expected, "verified")
    assert found["data"] == [{"path": "data.csv", "hash": RAW}]
    assert [one["path"] for one in found["code"]] == ["train.py"]
    assert found["params"] == {"params.yaml": {"train.epochs": 60}}
    assert found["version"]["name"] == "v0.0.1"
    assert found["pull_request"]["approved_by"] == ["grace"]
    branch = ENVIRONMENTS[name]
    assert found["source"]["commit"] == whole.work.commit_of(f"origin/{branch}")
    assert found["built_from"]["commit"] == whole.work.commit_of("origin/experiment/better")


def test_the_time_is_when_the_deploy_pull_request_was_merged(whole: World) -> None:
    deploy = Git(whole.top / "deploy.git")
    _, found = whole.trace("production")
    merge_commit = deploy.run("log", "-1", "--format=%ct %P", "main").split()
    assert len(merge_commit) == 3, "the last commit is the merge"
    assert found["deployment"]["commit"] == merge_commit[2]
    from datetime import datetime

    assert datetime.fromisoformat(found["deployment"]["since"]).timestamp() == int(merge_commit[0])


def test_an_image_and_a_version_are_traced_by_what_runs_them(whole: World) -> None:
    staging = whole.work.commit_of("origin/staging")
    _, found = whole.trace(f"{whole.image}:{staging}")
    assert (found["environment"], found["verified"]) == ("staging", True)
    digest = found["image"]["digest"]
    _, found = whole.trace("diabetes#dev")
    assert (found["environment"], found["verified"]) == ("dev", True)
    for subject in (f"{whole.image}@{digest}", "v0.0.1", "diabetes@v0.0.1"):
        told, found = whole.trace(subject)
        assert told.code == 0, told.log
        assert (found["environment"], found["verified"]) == ("production", True)
        assert found["data"] == [{"path": "data.csv", "hash": RAW}]


def test_text_is_for_people_and_json_alone_for_programs(whole: World) -> None:
    plain = whole.run("trace-model", subject="production", token=READER)
    assert plain.code == 0, plain.log
    assert plain.answer.startswith("diabetes in production: ")
    assert f"data.csv, MD5 {RAW}" in plain.answer
    assert "✓ version → model" in plain.answer
    assert "? source commit → pull request" in plain.answer
    words = [sys.executable, "-I", SCRIPTS, "trace-model", "--json", "--subject", "production"]
    env = {**whole.env, variable("token"): READER}
    done = process.run(words, cwd=whole.work.directory, env=env)
    assert json.loads(done.stdout)["subject"] == "production"


def test_a_shallow_checkout_without_tags_is_enough(whole: World, tmp_path: Path) -> None:
    """As actions/checkout leaves it: one commit of another branch, no tags."""
    url = f"{whole.forge.url}/{MODEL}.git"
    credentials = token_credentials(url, TOKEN).env
    words = ["clone", "--quiet", "--depth=1", "--no-tags", "--branch=staging", url, "shallow"]
    process.run(["git", *words], cwd=tmp_path, env=credentials)
    git = Git(tmp_path / "shallow")
    git.run("config", credentials["GIT_CONFIG_KEY_1"], credentials["GIT_CONFIG_VALUE_1"])
    asked = whole.run(
        "trace-model", git.directory, subject="production", json="true", token=READER,
        source_token=READER,
    )  # fmt: skip
    assert asked.code == 0, asked.log
    assert set(links(json.loads(asked.answer)).values()) == {"verified"}
    assert git.is_shallow()


def test_a_step_gets_outputs_and_a_summary(whole: World, tmp_path: Path) -> None:
    files = {"GITHUB_OUTPUT": str(tmp_path / "out"), "GITHUB_STEP_SUMMARY": str(tmp_path / "sum")}
    whole.env.update(files)
    try:
        told = whole.run("trace-model", subject="dev", token=READER)
    finally:
        for name in files:
            del whole.env[name]
    assert (told.code, told.answer) == (0, ""), told.log
    written = (tmp_path / "out").read_text("utf-8")
    for name in ("verified", "version", "digest", "model-hash", "source-commit", "deploy-commit"):
        assert f"\n{name}<<" in f"\n{written}"
    assert "\ntrue\n" in written
    summary = (tmp_path / "sum").read_text("utf-8")
    assert "```mermaid\nflowchart LR\n" in summary
    assert "| ✅ | model → data |" in summary


# --- tampering -----------------------------------------------------------------------------------


def rewrite(
    world: World, change: Callable[[str], str], environment: str = "production", message: str = "x"
) -> None:
    """Edit an overlay by hand, and push that."""
    git = world.clone(DEPLOY, "edit")
    git.run("pull", "--quiet", "origin", "main")
    path = f"overlays/{environment}/kustomization.yaml"
    text = (git.directory / path).read_text("utf-8")
    assert change(text) != text
    world.commit(git, {path: change(text)}, "main", message)
    shutil.rmtree(git.directory)


def edit_overlay(old: str, new: str) -> Callable[[World], None]:
    return lambda world: rewrite(
        world, lambda text: re.sub(old.format(world=world), new.format(world=world), text)
    )


def other_digest(world: World) -> None:
    """Deploy another image by hand: all is there, but nobody promoted it."""
    head = world.work.commit_of("origin/experiment/better") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, "hand", world.labels(head, "better"), salt="x")
    _, found = world.trace("production")
    edit_overlay(found["image"]["digest"], digest)(world)


def retag(world: World) -> None:
    sha = world.work.commit_of("origin/production") or ""
    name = world.image.partition("/")[2]
    push_image(world.registry, name, sha, world.labels(sha, "better"), salt="y")


def move_version_tag(world: World) -> None:
    worse = world.commit(world.work, world.files("worse", 5), "experiment/worse")
    bare = Git(world.top / "model.git")
    bare.run("tag", "--force", "--annotate", "-m", "moved", "diabetes@v0.0.1", worse, env=PERSON)


def move_version_tag_to_the_same_model(world: World) -> None:
    bare = Git(world.top / "model.git")
    bare.run("tag", "--force", "--annotate", "-m", "x", "diabetes@v0.0.1", "production", env=PERSON)


def delete_version_tag(world: World) -> None:
    """On the server; a clone that had it still has it."""
    Git(world.top / "model.git").run("tag", "--delete", "diabetes@v0.0.1")


def move_stage_tag(world: World) -> None:
    worse = world.commit(world.work, world.files("worse", 5), "experiment/worse")
    world.assign("production", worse)


def edit_lock_on_the_branch(world: World) -> None:
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    text = (world.work.directory / "dvc.lock").read_text("utf-8")
    world.commit(world.work, {"dvc.lock": text.replace(HASHES["better"], "d" * 32)}, "production")


def rewrite_history(world: World) -> None:
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production~1")
    world.commit(world.work, {"readme": "other\n"}, "production")


def edit_lock_in_the_checkout(world: World) -> None:
    world.work.run("checkout", "--quiet", "--detach", "origin/production")
    file = world.work.directory / "dvc.lock"
    file.write_text(file.read_text("utf-8").replace(RAW, "e" * 32), "utf-8")


def deploy_a_contradictory_commit(world: World) -> None:
    """A commit whose dvc.lock was edited by hand goes all the way."""
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    text = (world.work.directory / "dvc.lock").read_text("utf-8").replace(RAW, "e" * 32)
    commit = world.commit(world.work, {"dvc.lock": text}, "production")
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "better"), salt="z")
    world.deploy("production", commit, digest)


def deploy_another_model_under_the_name(world: World) -> None:
    """The image holds another model than the commit that it is deployed for."""
    commit = world.work.commit_of("origin/production") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "worse"))
    world.deploy("production", commit, digest, model_hash=HASHES["better"])


def direct_push(world: World) -> None:
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    commit = world.commit(world.work, {"readme": "pushed\n"}, "production")
    head = world.work.commit_of("origin/experiment/better") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(head, "better"))
    world.deploy("production", commit, digest)


def hand_made_deploy_commit(world: World) -> None:
    """A commit that says the digest and nothing else, as ours do."""
    head = world.work.commit_of("origin/experiment/better") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, "hand", world.labels(head, "better"), salt="x")
    rewrite(
        world,
        lambda text: re.sub(
            "newTag: .*", "newTag: hand", re.sub("digest: .*", f"digest: {digest}", text)
        ),
        message=f"Deploy\n\nImage-Digest: {digest}",
    )


def later_entry(world: World) -> None:
    """Kustomize applies the entries in their order: this one changes what ours set."""
    entry = f"- name: {world.image}\n  newName: evil.example/x\n  digest: sha256:{'9' * 64}\n"
    rewrite(world, lambda text: text + entry)


def entry_that_matches(world: World) -> None:
    """Kustomize reads `name` as an expression: this entry takes the image before ours can."""
    entry = "images:\n- name: diabete.\n  newName: evil.example/x\n  newTag: v6\n"
    rewrite(world, lambda text: text.replace("images:\n", entry))


def hide_as_new(world: World) -> None:
    """An overlay that looks as if nothing had ever been deployed, and a proposal that waits."""
    commit = world.work.commit_of("origin/production") or ""
    world.deploy("production", commit, "sha256:" + "8" * 64, merged=False)
    edit_overlay(" *digest: .*\n", "")(world)
    edit_overlay("newTag: .*", "newTag: none")(world)


def image_of_other_code(world: World) -> None:
    """The model is the right one, and all else in the image is of another commit."""
    commit = world.work.commit_of("origin/production") or ""
    other = world.commit(world.work, {"app.py": "evil\n"}, "feature")
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, other, world.labels(other, "better"), salt="x")
    world.deploy("production", commit, digest, images=f"diabetes={world.image}:{other}@{digest}")


def labelled_with_a_branch(world: World) -> None:
    commit = world.work.commit_of("origin/production") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels("main", "better"))
    world.deploy("production", commit, digest)


def other_models_version(world: World) -> None:
    commit = world.work.commit_of("origin/production") or ""
    digest = push_image(
        world.registry, world.image.partition("/")[2], commit, world.labels(commit, "better")
    )
    world.deploy(
        "production", commit, digest,
        trailers=f"Model: other@v0.0.1\nModel-Hash: {HASHES['better']}\n"
        f"Source-Repository: {MODEL}\nSource-Commit: {commit}",
    )  # fmt: skip


def delete_branch(world: World) -> None:
    Git(world.top / "model.git").run("update-ref", "-d", "refs/heads/production")


def second_version_of_one_commit(world: World) -> None:
    bare = Git(world.top / "model.git")
    commit = bare.run("rev-parse", "diabetes@v0.0.1^{}").strip()
    bare.run("tag", "--annotate", "-m", "x", "diabetes@v0.0.9", commit, env=PERSON)


PERSON = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "eve"), ("EMAIL", "eve@example.com"))
}
Tampering = Callable[[World], None]
TAMPERED: dict[str, tuple[Tampering, set[str], str]] = {
    "retagged image": (retag, {"overlay → registry"}, "the registry's"),
    "overlay with another digest": (other_digest, {"overlay → deploy commit", "deploy commit → source commit", "deploy commit → deploy pull request", "overlay → registry"}, "says"),
    "overlay without a digest": (edit_overlay(" *digest: .*\n", ""), {"overlay → deploy commit", "deploy commit → source commit", "deploy commit → deploy pull request", "overlay → registry"}, "no digest"),
    "overlay with another tag": (edit_overlay("newTag: ", "newTag: x"), {"overlay → deploy commit", "deploy commit → source commit", "deploy commit → deploy pull request", "overlay → registry"}, "sets"),
    "overlay with another name": (edit_overlay("{world.image}", "{world.image}-evil"), {"overlay → deploy commit", "deploy commit → source commit", "deploy commit → deploy pull request", "overlay → promotion.yaml"}, "-evil"),
    "moved version tag": (move_version_tag, {"version → model", "stage → version"}, HASHES["worse"]),
    "version tag moved to the same model": (move_version_tag_to_the_same_model, {"stage → version"}, "holds"),
    "deleted version tag": (delete_version_tag, {"version → model", "stage → version"}, "no such version"),
    "moved stage tag": (move_stage_tag, {"stage → version"}, "v0.0.2"),
    "edited dvc.lock on the branch": (edit_lock_on_the_branch, {"branch → source commit"}, "d" * 32),
    "rewritten history": (rewrite_history, {"deploy commit → source commit", "branch → source commit"}, "not on branch production"),
    "edited dvc.lock in the checkout": (edit_lock_in_the_checkout, {"checkout → source commit"}, "edited dvc.lock"),
    "edited dvc.lock, deployed": (deploy_a_contradictory_commit, {"model → data", "source commit → pull request"}, "e" * 32),
    "image of another model": (deploy_another_model_under_the_name, {"image → model", "image → build commit"}, HASHES["worse"]),
    "pushed without a pull request": (direct_push, {"source commit → pull request"}, "no merged pull request"),
    "hand-made deploy commit": (hand_made_deploy_commit, {"deploy commit → source commit", "deploy commit → deploy pull request"}, "no Source-Repository"),
    "later entry of the overlay": (later_entry, {"overlay → rendered image"}, "evil.example/x"),
    "entry that matches by expression": (entry_that_matches, {"overlay → rendered image"}, "diabete."),
    "overlay as if nothing was deployed": (hide_as_new, {"overlay → deploy commit", "deploy commit → source commit", "deploy commit → deploy pull request", "overlay → registry"}, "sets"),
    "image of other code": (image_of_other_code, {"image → source commit"}, "sets tag"),
    "image labelled with a branch": (labelled_with_a_branch, {"image → build commit"}, "'main'"),
    "version of another model": (other_models_version, {"version → model", "stage → version"}, "other@v0.0.1"),
    "deleted branch": (delete_branch, {"deploy commit → source commit"}, "the server has no branch production"),
    "second version of one commit": (second_version_of_one_commit, {"stage → version"}, "several versions at commit"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_with_one_link_is_found_and_named(world: World, what: str) -> None:
    tamper, expected, said = TAMPERED[what]
    tamper(world)
    told, found = world.trace("production")
    assert told.code == 3, told.log
    jsonschema.validate(found, schema("trace"))
    assert found["verified"] is False
    broken = {name for name, state in links(found).items() if state == "broken"}
    assert broken == expected, told.log
    assert all(one["fix"] for one in found["links"] if one["state"] == "broken")
    told_of = " ".join(
        f"{one['from_says']} {one['to_says']}" for one in found["links"] if one["state"] == "broken"
    )
    assert said in told_of
    assert said in told.log
    assert "Fix: " in told.log
    # The same, as one view of all environments.
    told, view = world.status(check="true")
    assert told.code == 3
    states = {one["name"]: one["in_sync"] for one in view["environments"]}
    assert states["production"] is False


def test_an_image_that_is_gone(world: World) -> None:
    _, found = world.trace("production")
    digest = found["image"]["digest"]
    name = world.image.partition("/")[2]
    connection = http.client.HTTPConnection(world.registry)
    connection.request("DELETE", f"/v2/{name}/manifests/{digest}")
    assert connection.getresponse().read() == b""
    told, found = world.trace("production")
    assert told.code == 3
    assert {n for n, s in links(found).items() if s == "broken"} == {"overlay → registry"}
    assert "has no" in told.log
    told, _ = world.trace(f"{world.image}@{digest}")
    assert told.code == 2
    assert "no such image" in told.log
    push_image(
        world.registry, name, world.work.commit_of("origin/experiment/better") or "",
        world.labels(world.work.commit_of("origin/experiment/better") or "", "better"),
    )  # fmt: skip


def test_a_moved_tag_that_nothing_runs_is_named(world: World) -> None:
    worse = world.commit(world.work, world.files("worse", 5), "experiment/worse")
    head = world.work.commit_of("origin/experiment/better") or ""
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, worse, world.labels(head, "better"))
    assert digest == world.trace("production")[1]["image"]["digest"]
    told, found = world.trace(f"{world.image}:{worse}")
    assert told.code == 3
    assert found["environment"] is None
    assert {n for n, s in links(found).items() if s == "broken"} == {"image → model"}


# --- what is no tampering ------------------------------------------------------------------------


def test_a_merge_that_is_not_deployed_yet_is_pending_in_its_pull_request(world: World) -> None:
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    commit = world.commit(world.work, world.files("worse", 5), "production")
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "worse"))
    told, found = world.trace("production")
    assert told.code == 3
    assert links(found)["branch → source commit"] == "broken"
    assert "gh run list" in told.log
    world.deploy(
        "production", commit, digest, merged=False, model_hash=HASHES["worse"], version="v0.0.2"
    )
    world.assign("production", commit)
    told, found = world.trace("production")
    assert told.code == 0, told.log
    pending = {name for name, state in links(found).items() if state == "pending"}
    assert pending == {"branch → source commit", "stage → version"}
    _, view = world.status()
    production = next(one for one in view["environments"] if one["name"] == "production")
    assert production["waiting"] == ["diabetes@v0.0.2 in the deploy pull request"]
    # Who closes it refuses the deployment: the branch is left, and nothing waits any more.
    (pull,) = world.waiting()
    api(DEPLOY, world).get_pull(pull.number).edit(state="closed")
    told, found = world.trace("production")
    broken = {name for name, state in links(found).items() if state == "broken"}
    assert broken == {"branch → source commit", "stage → version"}


def test_the_first_deployment_waits_in_its_pull_request(world: World) -> None:
    commit = world.work.commit_of("origin/production") or ""
    world.work.run("push", "--quiet", "origin", f"{commit}:refs/heads/empty")
    _, found = world.trace("production")
    world.deploy("empty", commit, found["image"]["digest"], merged=False)
    world.assign("empty", commit)
    told, _ = world.trace("empty")
    assert told.code == 2
    assert "runs nothing yet: its first deployment waits in a pull request" in told.log
    told, view = world.status(check="true")
    assert told.code == 0, told.log
    assert view["environments"][-1]["waiting"][-1] == "diabetes@v0.0.1 in the deploy pull request"
    (pull,) = world.waiting()
    merge(world, DEPLOY, pull.head_ref, "main", approve=False)
    told, found = world.trace("empty")
    assert (told.code, set(links(found).values()) - {"verified"}) == (3, {"broken"})
    assert links(found)["source commit → pull request"] == "broken", "the branch was pushed"


def test_a_pull_request_may_set_other_images_too(world: World) -> None:
    rewrite(world, lambda text: text + "- name: sidecar\n  newTag: v1\n")
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    commit = world.commit(world.work, world.files("worse", 5), "production")
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "worse"))
    world.deploy(
        "production", commit, digest, merged=False, model_hash=HASHES["worse"], version="v0.0.2",
        images=f"diabetes={world.image}:{commit}@{digest}\nsidecar=:v2",
    )  # fmt: skip
    told, found = world.trace("production")
    assert told.code == 0, told.log
    assert links(found)["branch → source commit"] == "pending"


def test_one_overlay_that_nobody_can_ask_for_hides_no_other(world: World) -> None:
    retag(world)
    rewrite(world, lambda text: re.sub("digest: .*", "digest: sha256:123", text), "dev")
    told, view = world.status(check="true")
    assert told.code == 3
    dev, staging, production, _ = view["environments"]
    assert (dev["in_sync"], staging["in_sync"], production["in_sync"]) == (False, True, False)
    assert "overlay → registry" in production["problems"][0]["problem"]
    told, found = world.trace("dev")
    assert (told.code, links(found)["overlay → registry"]) == (3, "broken")


def test_dates_in_params_are_no_bug(world: World) -> None:
    files = world.files("worse", 60)
    key = '"train.epochs": 60'
    files["dvc.lock"] = files["dvc.lock"].replace(key, f'{key}, "until": 2024-01-31')
    files["params.yaml"] += "until: 2024-01-31\n"
    files["dvc.yaml"] = files["dvc.yaml"].replace("[train.epochs]", "[train.epochs, until]")
    commit = world.commit(world.work, files, "dated")
    world.assign("", commit)
    version = world.work.run("tag", "--points-at", commit).strip()
    told, found = world.trace(version)
    assert told.code == 0, told.log
    assert found["params"]["params.yaml"]["until"] == "2024-01-31"


def test_what_only_this_clone_has_says_nothing(world: World) -> None:
    worse = world.commit(world.work, world.files("worse", 5), "experiment/worse")
    told = world.run(
        "gto-register-stage", model="diabetes", stage="production", push="false", revision=worse
    )
    assert told.code == 0, told.log
    assert "diabetes#production#" in world.work.run("tag", "--points-at", worse)
    told, found = world.trace("production")
    assert told.code == 0, told.log
    assert found["stage"]["version"] == "v0.0.1"


def test_a_rollback_is_on_purpose(world: World) -> None:
    older = world.work.commit_of("origin/production") or ""
    _, found = world.trace("production")
    old = found["image"]["digest"]
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    commit = world.commit(world.work, world.files("worse", 5), "production")
    name = world.image.partition("/")[2]
    digest = push_image(world.registry, name, commit, world.labels(commit, "worse"))
    world.assign("production", commit)
    world.deploy("production", commit, digest, model_hash=HASHES["worse"], version="v0.0.2")
    world.deploy(
        "production", older, old,
        trailers=f"Model: diabetes@v0.0.1\nModel-Hash: {HASHES['better']}\n"
        f"Source-Repository: {MODEL}\nSource-Commit: {older}\nRollback: true",
    )  # fmt: skip
    world.assign("production", older)
    told, found = world.trace("production")
    assert told.code == 0, told.log
    assert links(found)["branch → source commit"] == "pending"
    assert found["version"]["name"] == "v0.0.1"
    # What was merged after it and is not deployed has not been taken back.
    world.work.run("checkout", "--quiet", "-B", "edit", "origin/production")
    world.commit(world.work, {"model.txt": "x", **world.files("worse", 6)}, "production")
    told, found = world.trace("production")
    assert links(found)["branch → source commit"] == "broken"


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "code", "said"),
    [
        ("", 2, "subject: one of dev, staging, production, empty"),
        ("produktion", 2, "no environment (dev, staging, production, empty)"),
        ("v9.9.9", 2, "no version of diabetes (v0.0.1)"),
        ("diabetes@v9.9.9", 2, "no version of diabetes (v0.0.1)"),
        ("diabetes@sha256:123", 2, "no image with a tag or digest"),
        ("empty", 2, "empty runs nothing yet"),
        ("--upload-pack=x", 2, "no environment"),
        ("127.0.0.1:9/no/such:tag", 4, "127.0.0.1:9"),
    ],
)
def test_what_can_not_be_traced(whole: World, subject: str, code: int, said: str) -> None:
    told, found = whole.trace(subject)
    assert (told.code, found) == (code, None), told.log
    assert said in told.log
    assert "Traceback" not in told.log


def test_a_wrong_token_is_said(whole: World) -> None:
    told, _ = whole.trace("production", token="wrong-token")
    assert told.code == 4
    assert "wrong-token" not in told.log + told.answer
    assert "Fix: " in told.log
    # The deploy repository can be read, and the pull requests can't: that is no broken link.
    told, found = whole.trace("production", source_token="wrong-token")
    assert told.code == 0, told.log
    assert links(found)["source commit → pull request"] == "unknown"


# --- status ----------------------------------------------------------------------------------------


def test_status_shows_every_environment(whole: World) -> None:
    told, found = whole.status(check="true")
    assert told.code == 0, told.log
    jsonschema.validate(found, schema("status"), format_checker=jsonschema.FormatChecker())
    assert found["in_sync"] is True
    dev, staging, production, empty = found["environments"]
    for one in (dev, staging, production):
        assert (one["version"], one["stage_version"], one["metrics"]) == (
            "v0.0.1",
            "v0.0.1",
            {"metrics.json:r2": 0.455},
        )
        assert one["pull_request"]["approved_by"] == ["grace"]
        assert one["waiting"] == one["problems"] == []
    assert len({one["digest"] for one in (dev, staging, production)}) == 1
    assert (empty["version"], empty["image"], empty["in_sync"]) == (None, None, True)
    assert empty["waiting"] == ["v0.0.1 of production (production → empty)"]
    plain = whole.run("status", token=READER, source_token=READER).answer
    rows = [line.split() for line in plain.splitlines() if line.startswith("✓")]
    assert [row[1:4] for row in rows] == [
        ["dev", "v0.0.1", "0.455"],
        ["staging", "v0.0.1", "0.455"],
        ["production", "v0.0.1", "0.455"],
        ["empty", "–", "–"],
    ]
    assert "approved by grace" in plain


def test_status_says_what_waits(world: World) -> None:
    worse = world.commit(world.work, world.files("worse", 5), "experiment/worse")
    world.assign("", worse)
    title = {"head": "experiment/worse", "base": "main", "title": "x", "body": ""}
    pull = api(MODEL, world).create_pull(**title)
    _, found = world.status()
    dev = found["environments"][0]
    assert dev["waiting"] == [f"pull request #{pull.number} (experiment/worse → main)"]
    api(MODEL, world).get_pull(pull.number).edit(state="closed")


def test_status_shows_the_incumbent_beside_the_candidate(world: World, tmp_path: Path) -> None:
    worse = world.commit(world.work, world.files("worse", 5), "experiment/worse")
    world.assign("", worse)
    summary = tmp_path / "summary"
    world.env.update(GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(tmp_path / "out"))
    try:
        told = world.run(
            "status", environment="staging", candidate="HEAD", token=READER, source_token=READER,
            candidate_image=f"{world.image}:{worse}@sha256:{'f' * 64}",
        )  # fmt: skip
    finally:
        del world.env["GITHUB_STEP_SUMMARY"], world.env["GITHUB_OUTPUT"]
    assert told.code == 0, told.log
    table = summary.read_text("utf-8")
    assert "| | staging now | candidate |" in table
    assert "| version | v0.0.1 | v0.0.2 |" in table
    assert "| r2 | 0.455 | 0.111 ▼ |" in table
    assert f"`{HASHES['worse']}`" in table
    assert f"| `{'f' * 12}` |" in table
    assert "in-sync<<" in (tmp_path / "out").read_text("utf-8")


def test_status_without_a_registry_says_so(whole: World) -> None:
    whole.env["DOCKER_CONFIG"], before = "/nowhere", whole.env["DOCKER_CONFIG"]
    try:
        told = whole.run("status", token=READER)
    finally:
        whole.env["DOCKER_CONFIG"] = before
    if "has no `buildx`" not in told.answer:
        pytest.skip("this machine's docker has a buildx of its own")
    assert told.code == 0
    assert "? registry: the registry can't be asked" in told.answer


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"environment": "prod"}, "no such environment; it has dev, staging, production, empty"),
        ({"candidate": "HEAD"}, "`environment` is empty"),
        ({"environment": "dev", "candidate": "nope"}, "input `candidate` is 'nope'"),
        ({"deploy_branch": "nope"}, "input `deploy-branch` is 'nope'"),
        ({"config": "nope.yaml"}, "no such file"),
    ],
)
def test_wrong_inputs_of_status(whole: World, inputs: dict[str, str], said: str) -> None:
    told, found = whole.status(**inputs)
    assert (told.code, found) == (2, None), told.log
    assert said in told.log
