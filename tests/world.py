"""A model that went to production, in real parts: a registry, Git over HTTP, our own actions."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import checkouts
import started

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops.options import variable
from model_gitops_local.forge import Forge
from model_gitops_local.forge.gitea import GiteaForge

SCRIPTS = Path(__file__).parents[1] / "scripts"
MODEL, DEPLOY, TOKEN, READER = "acme/diabetes", "acme/deploy", "writer-token", "reader-token"
HASHES = {"better": "b" * 32, "worse": "c" * 32}
RAW = "a" * 32
ENVIRONMENTS = {"dev": "main", "staging": "staging", "production": "production"}
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def schema(name: str) -> Any:
    return json.loads((SCRIPTS / "model_gitops" / f"{name}.schema.json").read_text("utf-8"))


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def fingerprint(model: str) -> str:
    """The fingerprint of the content of an image with `model`."""
    return hashlib.sha256(model.encode()).hexdigest()[:40]


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
        done = started.run(action, cwd=cwd or self.work.directory, env={**self.env, **given})
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
        url = f"{self.forge.url}/{repository}.git"
        return checkouts.clone(self.top / name, url, self.forge.url, TOKEN)

    def commit(self, git: Git, files: dict[str, str], branch: str, message: str = "change") -> str:
        return checkouts.pushed(git, files, branch, message)

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
            "io.model-gitops.fingerprint": fingerprint(model),
            "org.opencontainers.image.revision": commit,
        }

    def deploy(
        self, environment: str, commit: str, digest: str, *, merged: bool = True, **more: str
    ) -> Told:
        """What deploy.yml does for a merge: bump; production by a pull request, `merged` or not."""
        by_pull = environment in ("production", "empty")
        model_hash = more.pop("model_hash", HASHES["better"])
        model = next(name for name, one in HASHES.items() if one == model_hash)
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
                f"Model-Hash: {model_hash}\n"
                f"Source-Repository: {MODEL}\nSource-Commit: {commit}\n"
                f"Image-Fingerprint: {fingerprint(model)}",
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


def played(forge: Forge, top: Path, registry: str, settings: dict[str, str]) -> World:
    """Return a world in the folder `top` in which a model went to production."""
    for name, repository in (("model", MODEL), ("deploy", DEPLOY)):
        bare = top / f"{name}.git"
        process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
        forge.add_repository(repository, bare)
    env = {**settings, "GITHUB_API_URL": forge.api_url, "GITHUB_SERVER_URL": forge.url}
    world = World(top, registry, forge, env)
    play(world)
    return world


def play(world: World) -> None:
    """Take a model from an experiment to production, by approved pull requests."""
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
    if isinstance(world.forge, GiteaForge):
        return _merge_on_gitea(world.forge, repository, head, base, approve=approve)
    ada, grace = api(repository, world), api(repository, world, "second-token")
    found = [pull for pull in ada.get_pulls("open", base=base) if pull.head.ref == head]
    pull = found[0] if found else ada.create_pull(base=base, head=head, title=head, body="")
    if approve:
        grace.get_pull(pull.number).create_review(event="APPROVE")
    return str(ada.get_pull(pull.number).merge(merge_method="merge").sha)


def _merge_on_gitea(
    forge: GiteaForge, repository: str, head: str, base: str, *, approve: bool
) -> str:
    ours = GitHub(repository, TOKEN, api_url=forge.api_url)
    pull = ours.find_pull_request(head, base) or ours.open_pull_request(
        head=head, base=base, title=head, body=""
    )
    address = f"/repos/{repository}/pulls/{pull.number}"
    if approve:
        gitea(forge, "POST", f"{address}/reviews", {"event": "APPROVED"}, token="second-token")
    gitea(forge, "POST", f"{address}/merge", {"Do": "merge"})
    return str(gitea(forge, "GET", address)["merge_commit_sha"])


def gitea(forge: Forge, method: str, path: str, body: object = None, *, token: str = TOKEN) -> Any:
    """Ask Gitea's API as another client does."""
    request = urllib.request.Request(
        f"{forge.api_url}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def links(document: Any) -> dict[str, str]:
    return {f"{one['from']} → {one['to']}": one["state"] for one in document["links"]}


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


def retag(world: World) -> None:
    sha = world.work.commit_of("origin/production") or ""
    name = world.image.partition("/")[2]
    push_image(world.registry, name, sha, world.labels(sha, "better"), salt="y")
