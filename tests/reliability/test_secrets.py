"""A canary in every credential input: it reaches the server that asks for it, and nothing else.

Each action runs as a process of its own, as on a runner. `git`, `docker` and `ssh` are wrapped: each
start writes down its arguments and environment. Everything that the run printed, wrote, committed,
commented or left behind is searched for the canaries, also encoded and compressed.

Long because it is one list: a case of each action that is given a secret.
"""

from __future__ import annotations

import base64
import gzip
import http.server
import json
import os
import re
import shlex
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from canaries import unpacked
from receiver import Receiver
from spy import Spy
from training_site import TRAINING, Argo, ArgoServer, built

from model_gitops.adapters import process
from model_gitops.adapters.git import Git
from model_gitops.adapters.github import GitHub
from model_gitops_local import toolchain
from model_gitops_local.engine import Engine
from model_gitops_local.forge import Forge
from model_gitops_local.registry import Registry

CANARY, WRONG = "canary-5d1f0c9e", "canary-wrong-77ab"
# bcrypt of CANARY, as htpasswd makes it.
HTPASSWD = "$2b$04$IMR03Xe.Uoj70qspZSkjROBAdJCmXwrQvZ9jc0vNoU8yIvihP4aT."
DIGEST = "sha256:" + "a" * 64
KUSTOMIZATION = "images:\n- name: m\n  newName: ghcr.io/acme/m\n  newTag: v1\n"

# Where docker's configuration is, and the plugins that the machine's owner trusts.
DOCKERS = ("DOCKER_CONFIG", "MODEL_GITOPS_DOCKER_PLUGINS")


@pytest.fixture
def spy(tmp_path: Path) -> Spy:
    return Spy(tmp_path / "spy", [CANARY])


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spy").mkdir()
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")


def repository(spy: Spy, name: str, files: dict[str, str], branch: str = "main") -> Git:
    """Make a bare repository and a clone, both where the spy searches."""
    bare = spy.top / f"{name}.git"
    process.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    process.run(["git", "clone", "--quiet", bare, spy.top / name])
    git = Git(spy.top / name)
    git.run("switch", "--quiet", "--orphan", branch)
    for path, text in files.items():
        file = spy.top / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    git.run("add", "--all", "--force")
    git.run("commit", "--quiet", "-m", "first")
    git.run("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
    return git


@pytest.fixture
def forge(tmp_path: Path, spy: Spy) -> Iterator[Forge]:
    # What the stand-in keeps is the server's own, and not searched: it knows the tokens.
    with Forge(tmp_path / "forge") as made:
        made.add_token(CANARY, "github-actions[bot]")
        spy.env = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_SERVER_URL": made.url,
            "GITHUB_API_URL": made.api_url,
            "GITHUB_REPOSITORY": "acme/m",
            "GITHUB_RUN_ID": "41",
        }
        yield made


@pytest.mark.parametrize("mode", ["push", "pull-request"])
def test_the_token_of_a_bump(mode: str, spy: Spy, forge: Forge, numbers: Any) -> None:
    spy.use = {CANARY: "git", WRONG: "git"}
    work = repository(spy, "deploy", {"overlays/dev/kustomization.yaml": KUSTOMIZATION})
    forge.add_repository("acme/deploy", spy.top / "deploy.git")
    given = {"repository": "acme/deploy", "path": "overlays/dev", "mode": mode}
    wanted = f"m=:v2@{DIGEST}"
    done = spy.run("bump-kustomize-tag", work.directory, images=wanted, token=CANARY, **given)
    assert done.code == 0, done.log
    assert ("pushed" if mode == "push" else "opened") in done.outputs
    # A second token that may do nothing: the refusal tells of it no more than the success did.
    spy.canaries.append(WRONG)
    refused = spy.run("bump-kustomize-tag", work.directory, images="m=:v3", token=WRONG, **given)
    assert refused.code in (2, 4)
    numbers(f"secrets: token of bump-kustomize-tag ({mode}): 2 planted, 0 found")


def test_the_deploy_key_of_a_bump(spy: Spy, numbers: Any) -> None:
    work = repository(spy, "deploy", {"overlays/dev/kustomization.yaml": KUSTOMIZATION})
    spy.wrap("ssh", 'while [ $# -gt 1 ]; do shift; done; exec sh -c "$1"')
    given = {
        "path": "overlays/dev",
        "ssh_key": f"-----BEGIN KEY-----\n{CANARY}\n-----END KEY-----",
        "repository": f"ssh://git@git.example{spy.top}/deploy.git",
    }
    done = spy.run("bump-kustomize-tag", work.directory, images="m=:v2", **given)
    assert done.code == 0, done.log
    assert "pushed" in done.outputs
    spy.wrap("ssh", 'echo "git@git.example: Permission denied (publickey)." >&2; exit 255')
    assert spy.run("bump-kustomize-tag", work.directory, images="m=:v3", **given).code == 4
    numbers("secrets: ssh-key of bump-kustomize-tag: 1 planted, 0 found")


def test_the_token_and_the_key_of_a_hold(spy: Spy, forge: Forge, numbers: Any) -> None:
    spy.use = {CANARY: "git", WRONG: "git"}
    rules: dict[str, Any] = {
        "model": "m",
        "image": "registry.example/acme/m",
        "deploy": {"repository": "acme/deploy"},
        "environments": [{"name": "dev", "branch": "main"}],
    }
    work = repository(spy, "model", {"promotion.yaml": json.dumps(rules)})
    repository(spy, "deploy", {"overlays/dev/kustomization.yaml": KUSTOMIZATION})
    for name, bare in (("deploy", "deploy.git"), ("m", "model.git")):
        forge.add_repository(f"acme/{name}", spy.top / bare)
    given = {"environment": "dev", "reason": "x", "until": "2h"}
    done = spy.run("hold-environment", work.directory, token=CANARY, **given)
    assert done.code == 0, done.log
    assert "held" in done.outputs
    spy.canaries.append(WRONG)
    refused = spy.run(
        "hold-environment", work.directory, token=WRONG, operation="release", environment="dev"
    )
    assert refused.code in (2, 4), refused.log
    rules["deploy"]["repository"] = f"ssh://git@git.example{spy.top}/deploy.git"
    (work.directory / "promotion.yaml").write_text(json.dumps(rules))
    spy.wrap("ssh", 'while [ $# -gt 1 ]; do shift; done; exec sh -c "$1"')
    key = f"-----BEGIN KEY-----\n{CANARY}\n-----END KEY-----"
    done = spy.run(
        "hold-environment", work.directory, ssh_key=key, operation="release", environment="dev"
    )
    assert done.code == 0, done.log
    assert "released" in done.outputs
    numbers("secrets: token and ssh-key of hold-environment: 3 planted, 0 found")


@pytest.mark.parametrize("mode", ["push", "pull-request"])
def test_the_tokens_of_a_rollback(mode: str, spy: Spy, forge: Forge, numbers: Any) -> None:
    statuses = "canary-statuses-31c9"
    spy.use = {CANARY: "git"}
    spy.canaries.append(statuses)
    forge.add_token(statuses, "reader", {"statuses": "read"})
    promotion = {
        "model": "m",
        "image": "ghcr.io/acme/m",
        "deploy": {"repository": "acme/deploy"},
        "environments": [{"name": "dev", "branch": "main", "deploy": mode}],
    }
    model = repository(spy, "m", {"promotion.yaml": json.dumps(promotion)})
    deploy = repository(spy, "deploy", {"overlays/dev/kustomization.yaml": KUSTOMIZATION})
    for number in (1, 2):
        digest, file = f"sha256:{number:064}", deploy.directory / "overlays/dev/kustomization.yaml"
        file.write_text(f"{KUSTOMIZATION}  digest: {digest}\n")
        said = f"Source-Repository: acme/m\nSource-Commit: {number:040}\nImage-Digest: {digest}"
        deploy.run("commit", "--quiet", "--all", "-m", f"D\n\nModel: m@v0.0.{number}\n{said}")
    deploy.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    for name, folder in (("acme/m", "m"), ("acme/deploy", "deploy")):
        forge.add_repository(name, spy.top / f"{folder}.git")
    tokens = {"token": CANARY, "source_token": statuses}
    done = spy.run("rollback", model.directory, environment="dev", **tokens)
    assert done.code == 0, done.log
    assert ("pushed" if mode == "push" else "opened") in done.outputs
    assert any("/statuses" in one["path"] for one in forge.requests())
    spy.search(Git(spy.top / "deploy.git").run("log", "-p", "--all").encode(), "the commits")
    numbers(f"secrets: tokens of rollback ({mode}): 2 planted, 0 found")


def test_the_token_of_a_report(spy: Spy, forge: Forge, numbers: Any) -> None:
    files = {
        ".dvc/config": "[core]\n    analytics = false\n",
        "dvc.yaml": "metrics: [m.json]\nplots:\n- curve: {x: a, y: {c.csv: b}}\n",
        "m.json": '{"r2": 1}',
        "c.csv": "a,b\n1,2\n2,3\n",
    }
    spy.use = {CANARY: "git", WRONG: "git"}
    work = repository(spy, "model", files)
    forge.add_repository("acme/m", spy.top / "model.git")
    done = spy.run("cml-report", work.directory, token=CANARY, target="commit", title="T")
    assert done.code == 0, done.log
    assert "created" in done.outputs
    head = work.run("rev-parse", "HEAD").strip()
    (posted,) = GitHub("acme/m", CANARY, api_url=forge.api_url).list_comments(head)
    spy.search(posted.body.encode(), "the comment")
    assert ".png" in posted.body, "the pictures were pushed with the token"
    for ref in Git(spy.top / "model.git").run("for-each-ref", "--format=%(refname)").split():
        spy.search(Git(spy.top / "model.git").run("log", "-p", ref).encode(), ref)
    spy.canaries.append(WRONG)
    refused = spy.run("cml-report", work.directory, token=WRONG, target="commit")
    # Who may not comment has the report in the summary.
    assert (refused.code, "No comment was written" in refused.summary) == (0, True), refused.log
    numbers("secrets: token of cml-report: 2 planted, 0 found")


class _Locked(http.server.BaseHTTPRequestHandler):
    """A DVC remote over HTTP that asks for `ada` and the canary."""

    asked = 0

    def do_GET(self) -> None:
        given = base64.b64encode(f"ada:{CANARY}".encode()).decode()
        ok = self.headers.get("Authorization") == f"Basic {given}"
        content = b"one" if ok and self.path.endswith("c5d29941bfb1b2fdab0874906ab82") else b""
        self.send_response(200 if content else 404 if ok else 401)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)
        _Locked.asked += ok

    do_HEAD = do_GET  # noqa: N815 - the server's name for it

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


def test_the_credentials_of_a_dvc_remote(spy: Spy, numbers: Any) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Locked)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    files = {
        ".dvc/config": "[core]\n    remote = web\n    analytics = false\n"
        f"['remote \"web\"']\n    url = http://127.0.0.1:{server.server_port}/store\n",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        "m.bin.dvc": "outs:\n- {path: m.bin, md5: f97c5d29941bfb1b2fdab0874906ab82, size: 3}\n",
        "n.bin.dvc": "outs:\n- {path: n.bin, md5: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, size: 3}\n",
    }
    work = repository(spy, "model", files)
    spy.env = {"GITHUB_ACTIONS": "true", "DVC_SITE_CACHE_DIR": str(spy.top / "home" / "dvc")}
    settings = "auth=basic\nuser=ada\npassword="
    try:
        for model, password, code in (("m.bin", CANARY, 0), ("n.bin", CANARY, 4)):
            done = spy.run(
                "dvc-pull-model", work.directory, model=model, remote_config=settings + password
            )
            assert done.code == code, done.log
        assert (work.directory / "m.bin").read_text() == "one"
        assert _Locked.asked > 0
        spy.canaries.append(WRONG)
        refused = spy.run(
            "dvc-pull-model", work.directory, model="n.bin", remote_config=settings + WRONG
        )
        assert refused.code == 4
        malformed = spy.run(
            "dvc-pull-model", work.directory, model="n.bin", remote_config=f"nonsense={WRONG}"
        )
        assert malformed.code == 2
    finally:
        server.shutdown()
        server.server_close()
    numbers("secrets: remote-config of dvc-pull-model: 2 planted, 0 found")


@pytest.mark.docker
def test_the_secrets_of_a_build(
    spy: Spy, tmp_path: Path, docker_environment: Engine, base_image: str, numbers: Any
) -> None:
    (tmp_path / "htpasswd").write_text(f"ada:{HTPASSWD}\n")
    server = Registry(spy.top / "registry")
    address = server.start(htpasswd=tmp_path / "htpasswd")
    build_secret = "canary-build-93c1"
    spy.canaries.append(build_secret)
    # The registry's password goes by standard input, into a file: into no environment at all.
    spy.use = {build_secret: "docker"}
    dockerfile = (
        f"FROM {base_image}\n"
        f"RUN --mount=type=secret,id=TOKEN test $(wc -c < /run/secrets/TOKEN) = {len(build_secret)}\n"
        "RUN python3 -c \"import os; open('/environ', 'w').write(str(dict(os.environ)))\"\n"
        'CMD ["python3", "-c", "pass"]\n'
    )
    work = repository(spy, "model", {"Dockerfile": dockerfile, ".dockerignore": "*\n"})
    spy.env = {name: os.environ[name] for name in DOCKERS if name in os.environ}
    given = {
        "image": f"{address}/acme/m",
        "secrets": f"TOKEN={build_secret}",
        "username": "ada",
        "provenance": "mode=max",
    }
    try:
        done = spy.run("build-push-image", work.directory, password=CANARY, **given)
        assert done.code == 0, done.log
        assert "built" in done.outputs
        # spy.run has searched the registry's own files: each layer, history, and attestation.
        blobs = [path for path in (spy.top / "registry").rglob("data") if path.is_file()]
        assert any(b"/run/secrets/TOKEN" in unpacked(path.read_bytes()) for path in blobs)
        assert any(b"environ" in unpacked(path.read_bytes()) for path in blobs)
        digest = re.search(r"sha256:[0-9a-f]{64}", done.outputs)
        assert digest
        spy.canaries.append(WRONG)
        refused = spy.run("build-push-image", work.directory, password=WRONG, **given)
        assert refused.code == 4
        assert "was refused" in refused.log
        failing = dockerfile.replace("test $(", "false $(")
        (work.directory / "Dockerfile").write_text(failing)
        failed = spy.run("build-push-image", work.directory, password=CANARY, **given)
        assert failed.code == 4
        if config := os.environ.get("DOCKER_CONFIG"):
            spy.search_files(Path(config))
    finally:
        server.remove()
    numbers("secrets: password and secrets of build-push-image: 3 planted, 0 found")


@pytest.mark.docker
@pytest.mark.parametrize("action", ["status", "trace-model"])
def test_the_secrets_of_what_asks_what_is_live(
    action: str,
    spy: Spy,
    forge: Forge,
    tmp_path: Path,
    docker_environment: Engine,
    numbers: Any,
) -> None:
    (tmp_path / "htpasswd").write_text(f"ada:{HTPASSWD}\n")
    server = Registry(spy.top / "registry")
    address = server.start(htpasswd=tmp_path / "htpasswd")
    promotion = {
        "model": "m",
        "image": f"{address}/acme/m",
        "deploy": {"repository": "acme/deploy"},
        "environments": [{"name": "dev", "branch": "main"}],
    }
    files = {
        "promotion.yaml": json.dumps(promotion),
        "dvc.yaml": "artifacts: {m: {path: m.bin}}\n",
        "m.bin.dvc": f"outs:\n- {{path: m.bin, hash: md5, md5: {'a' * 32}}}\n",
    }
    work = repository(spy, "model", files)
    work.run("tag", "--annotate", "-m", "x", "m@v1.0.0")
    work.run("push", "--quiet", "origin", "m@v1.0.0")
    deployed = f"images:\n- {{name: m, newName: {address}/acme/m, digest: {DIGEST}}}\n"
    repository(spy, "deploy", {"overlays/dev/kustomization.yaml": deployed})
    for name in ("deploy", "model"):
        forge.add_repository(f"acme/{name}".replace("model", "m"), spy.top / f"{name}.git")
    spy.env |= {name: os.environ[name] for name in DOCKERS if name in os.environ}
    asked = {"subject": "v1.0.0"} if action == "trace-model" else {}
    spy.use = {CANARY: "git", WRONG: "git"}
    given = {"token": CANARY, "source_token": CANARY, "username": "ada", "password": CANARY}
    try:
        done = spy.run(action, work.directory, **given, **asked)
        assert done.code == 0, done.log
        assert "m@v1.0.0" in done.outputs if asked else "in-sync" in done.outputs
        spy.canaries.append(WRONG)
        for name in ("token", "password"):
            refused = spy.run(action, work.directory, **{**given, name: WRONG}, **asked)
            # For status the registry is no reason to say nothing else.
            spared = action == "status" and name == "password"
            assert refused.code == (0 if spared else 4), refused.log
        spy.wrap("ssh", 'echo "git@git.example: Permission denied (publickey)." >&2; exit 255')
        key = {"ssh_key": f"-----BEGIN KEY-----\n{CANARY}\n-----END KEY-----", "token": ""}
        assert spy.run(action, work.directory, **{**given, **key}, **asked).code == 4
    finally:
        server.remove()
    numbers(f"secrets: token, ssh-key, source-token and password of {action}: 6 planted, 0 found")


@pytest.mark.parametrize("status", [200, 500, 302])
def test_the_addresses_and_the_key_of_notify(status: int, spy: Spy, numbers: Any) -> None:
    """Each form of an address holds a secret: told or refused, none of it is printed or kept."""
    key = "whsec_" + base64.b64encode(f"{CANARY:-<32}".encode()).decode()
    spy.canaries.append(key)
    away = {"Location": f"http://127.0.0.1:9/{CANARY}"}
    with Receiver(status=status, headers=away) as receiver:
        urls = (
            f"json://ada:{CANARY}@{receiver.host}/{CANARY}?+X-Token={CANARY}&-q={CANARY}&retry=0",
            f"form://{receiver.host}/?:{CANARY}={CANARY}&retry=0",
            f"slack://{CANARY}",
            f"json://ada:{CANARY}@example.invalid/",
            f"{CANARY}",
        )
        given = {"urls": "\n".join(urls), "webhook": f"{receiver.url}/{CANARY}?t={CANARY}"}
        done = spy.run("notify", spy.top, event="hold", webhook_secret=key, **given)
        told = 3 if status == 200 else 0
        assert (done.code, "told<<" in done.outputs) == (0, True), done.log
        assert f"\n{told}\n" in done.outputs
        assert len(receiver.got) >= 3
        typo = {**given, "webhook": f"htps://{CANARY}"}
        assert spy.run("notify", spy.top, event="hold", webhook_secret=CANARY, **typo).code == 0
    assert spy.started == 0, "it starts no process"
    numbers("secrets: urls, webhook and webhook-secret of notify: 12 planted, 0 found")


def test_the_secrets_of_pipeline_health(spy: Spy, forge: Forge, numbers: Any) -> None:
    promotion = {
        "model": "m",
        "image": "r.example/acme/m",
        "deploy": {"repository": "acme/deploy"},
        "environments": [{"name": "dev", "branch": "main"}],
    }
    workflow = "on: {schedule: [{cron: '1 2 * * *'}]}\njobs: {a: {steps: []}}\n"
    files = {"promotion.yaml": json.dumps(promotion), ".github/workflows/a.yml": workflow}
    work = repository(spy, "model", files)
    deployed = f"images:\n- {{name: m, newName: r.example/acme/m, digest: {DIGEST}}}\n"
    repository(spy, "deploy", {"overlays/dev/kustomization.yaml": deployed})
    for name in ("deploy", "model"):
        forge.add_repository(f"acme/{name}".replace("model", "m"), spy.top / f"{name}.git")
    forge.add_workflow("acme/m", "a.yml", state="disabled_inactivity")
    spy.use = {CANARY: "git", WRONG: "git"}
    given = {"token": CANARY, "source_token": CANARY, "issue": "true", "json": "true"}
    done = spy.run("pipeline-health", work.directory, **given)
    assert done.code == 0, done.log
    assert "opened" in done.outputs
    spy.canaries.append(WRONG)
    # What the deploy repository hides is a note; who may not see the runs ends.
    assert spy.run("pipeline-health", work.directory, **{**given, "token": WRONG}).code == 0
    assert spy.run("pipeline-health", work.directory, **{**given, "source_token": WRONG}).code == 4
    numbers("secrets: token and source-token of pipeline-health: 3 planted, 0 found")


def test_the_tokens_of_a_retraining(spy: Spy, forge: Forge, numbers: Any) -> None:
    """Two tokens for the server's API; Git has neither, also where one is refused."""
    opener, branch = "canary-opener-c41e", "retrain/2026-11-30"
    spy.canaries += [opener, WRONG]
    forge.add_token(opener, "opener[bot]", {"contents": "read", "pull-requests": "write"})
    promotion = {"model": "m", "image": "r.example/acme/m"}
    promotion |= {"environments": [{"name": "dev", "branch": "main"}]}
    work = repository(spy, "model", {"promotion.yaml": json.dumps(promotion)})
    work.run("switch", "--quiet", "--create", branch)
    (work.directory / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    work.run("add", "dvc.lock")
    work.run("commit", "--quiet", "-m", "train")
    work.run("push", "--quiet", "origin", branch)
    forge.add_repository("acme/m", spy.top / "model.git")
    given = {"operation": "open", "branch": branch, "reason": "x"}
    tokens = {"token": CANARY, "pull_request_token": opener}
    refused = spy.run("open-retraining", work.directory, **given, **{**tokens, "token": WRONG})
    assert refused.code == 4, refused.log
    # Refused to the second token, the first one opens it.
    given["branch"] = f"{branch[:-1]}1"
    work.run("push", "--quiet", "origin", f"HEAD:refs/heads/{given['branch']}")
    wrong = {**tokens, "pull_request_token": WRONG}
    done = spy.run("open-retraining", work.directory, **given, **wrong)
    assert (done.code, "No checks run" in done.log) == (0, True), done.log
    issues = forge.state.repositories["acme/m"].issues
    issues.remove(issues[-1])
    given["branch"] = branch
    done = spy.run("open-retraining", work.directory, **given, **tokens)
    assert done.code == 0, done.log
    assert "opened" in done.outputs
    started = spy.run("open-retraining", work.directory, operation="start", **tokens)
    assert started.code == 0, started.log
    assert "continued" in started.outputs
    judged = {"operation": "judge", "gate": "failure"}
    assert spy.run("open-retraining", work.directory, **judged, **tokens).code == 0
    numbers("secrets: token and pull-request-token of open-retraining: 3 planted, 0 found")


def test_the_secrets_of_a_pushed_model(spy: Spy, tmp_path: Path, numbers: Any) -> None:
    """The registry's password goes by a file that only this step has."""
    (tmp_path / "htpasswd").write_text(f"ada:{HTPASSWD}\n")
    server = Registry(spy.top / "registry")
    address = server.start(htpasswd=tmp_path / "htpasswd")
    spy.wrap("oras", f'exec {shlex.quote(str(toolchain.ensure("oras")))} "$@"')
    (spy.top / "m.bin").write_bytes(b"one")
    given = {
        "artifact": f"{address}/acme/m-model",
        "path": "m.bin",
        "model": "m",
        "model_hash": "f97c5d29941bfb1b2fdab0874906ab82",
        "username": "ada",
    }
    try:
        done = spy.run("push-model", spy.top, password=CANARY, **given)
        assert done.code == 0, done.log
        assert "pushed" in done.outputs
        assert spy.started >= 4, "oras is looked at"
        spy.canaries.append(WRONG)
        refused = spy.run("push-model", spy.top, password=WRONG, **given)
        assert (refused.code, "`username` and `password`" in refused.log) == (4, True), refused.log
        key = {"sign": "key", "signing_key": f"no key {CANARY}", "signing_password": WRONG}
        assert spy.run("push-model", spy.top, password=CANARY, **given, **key).code == 2
        key |= {"signing_key": f"-----BEGIN KEY-----\n{CANARY}\n-----END KEY-----"}
        spy.wrap("cosign", "exit 1")
        assert spy.run("push-model", spy.top, password=CANARY, **given, **key).code in (2, 4)
    finally:
        server.remove()
    numbers("secrets: password and signing key of push-model: 5 planted, 0 found")


def test_the_tokens_of_a_training(spy: Spy, forge: Forge, numbers: Any) -> None:
    """Argo's token, the deploy repository's and the statuses': each goes to its own server alone."""
    of_argo, statuses = "canary-argo-4e7d", "canary-statuses-31c9"
    spy.use = {CANARY: "git"}
    spy.canaries += [of_argo, statuses]
    forge.add_token(statuses, "github-actions[bot]", {"statuses": "write"})
    promotion = {
        "model": "diabetes",
        "image": "ghcr.io/acme/diabetes",
        "deploy": {"repository": "acme/deploy"},
        "environments": [
            {"name": "dev", "branch": "main"},
            {"name": "staging", "branch": "staging"},
        ],
        "training": {},
    }
    work = repository(spy, "m", {"promotion.yaml": json.dumps(promotion)})
    files = {
        f"training/{path.relative_to(TRAINING)}": path.read_text("utf-8")
        for path in TRAINING.rglob("*.yaml")
    }
    overlay = "training/overlays/staging/kustomization.yaml"
    files[overlay] = files[overlay].replace("not-deployed-yet", f"v1\n    digest: {DIGEST}")
    deploy = repository(spy, "deploy", files)
    said = f"Source-Repository: acme/m\nSource-Commit: {work.run('rev-parse', 'HEAD').strip()}"
    deploy.run("commit", "--quiet", "--amend", "-m", f"D\n\n{said}\nImage-Digest: {DIGEST}")
    deploy.run("push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
    for name in ("m", "deploy"):
        forge.add_repository(f"acme/{name}", spy.top / f"{name}.git")
    engine = Argo()
    engine.apply(built(deploy.directory / "training/overlays/staging"))
    server = ArgoServer(engine)
    given = {
        "environment": "staging", "timeout": "30s", "argo_server": server.url, "argo_token": of_argo,
        "token": CANARY, "source_token": statuses,
    }  # fmt: skip
    try:
        done = spy.run("run-training", work.directory, **given)
        assert done.code == 0, done.log
        assert "started" in done.outputs
        assert any("/statuses/" in one["path"] for one in forge.requests())
        assert engine.tokens == {f"Bearer {of_argo}"}
        spy.canaries.append(WRONG)
        engine.broken = [(401, {"message": "token not valid"})] * 50
        for name in ("argo_token", "token", "source_token"):
            spy.use[WRONG] = "git" if name == "token" else ""
            wrong = {**given, name: WRONG, "timeout": "1s"}
            refused = spy.run("run-training", work.directory, **wrong)
            assert refused.code in (3, 4), (name, refused.log)
        kubeconfig = f"users: [{{name: a, user: {{token: {of_argo}}}}}]\ncontexts: {WRONG}"
        key = {"kubeconfig": kubeconfig, "argo_server": "", "argo_token": ""}
        assert spy.run("run-training", work.directory, **{**given, **key}).code == 2
    finally:
        server.stop()
    spy.search(Git(spy.top / "deploy.git").run("log", "-p", "--all").encode(), "the commits")
    spy.search(json.dumps(engine.started).encode(), "what Argo was asked to run")
    numbers(
        "secrets: argo-token, kubeconfig, token and source-token of run-training: 7 planted, 0 found"
    )


def test_the_secrets_of_what_asks_which_components_are_deployed(
    spy: Spy, forge: Forge, numbers: Any
) -> None:
    spy.use = {CANARY: "git", WRONG: "git"}
    promotion = {
        "model": "m",
        "image": "ghcr.io/acme/m",
        "deploy": {"repository": "acme/deploy"},
        "environments": [{"name": "dev", "branch": "main"}],
        "training": {},
    }
    files = {"promotion.yaml": json.dumps(promotion), "components/a/Dockerfile": "FROM scratch\n"}
    work = repository(spy, "m", files)
    overlay = "images: [{name: m-a, newName: ghcr.io/acme/m-a, newTag: not-deployed-yet}]\n"
    repository(spy, "deploy", {"training/overlays/dev/kustomization.yaml": overlay})
    for name in ("m", "deploy"):
        forge.add_repository(f"acme/{name}", spy.top / f"{name}.git")
    done = spy.run("changed-components", work.directory, deployed="true", token=CANARY)
    assert done.code == 0, done.log
    assert "not deployed yet" in done.summary
    spy.canaries.append(WRONG)
    refused = spy.run("changed-components", work.directory, deployed="true", token=WRONG)
    assert refused.code == 4, refused.log
    spy.wrap("ssh", 'echo "git@git.example: Permission denied (publickey)." >&2; exit 255')
    key = f"-----BEGIN KEY-----\n{CANARY}\n-----END KEY-----"
    refused = spy.run("changed-components", work.directory, deployed="true", ssh_key=key)
    assert refused.code == 4, refused.log
    numbers("secrets: token and ssh-key of changed-components: 3 planted, 0 found")


def test_the_search_finds_what_is_planted(spy: Spy) -> None:
    """The spy is no blind one."""
    planted = [
        CANARY.encode(),
        gzip.compress(json.dumps({"a": CANARY}).encode()),
        zlib.compress(CANARY.encode()),
        base64.b64encode(f"x-access-token:{CANARY}".encode()),
        base64.b64encode(f"ada:{CANARY}:x".encode()),
        f"https://{quote(CANARY)}@host".encode(),
    ]
    for content in planted:
        with pytest.raises(AssertionError, match="a secret is in here"):
            spy.search(unpacked(content), "here")
    for use, words in (
        ("git", b"git\0rev-parse\0HEAD\0"),
        ("git", b"docker\0buildx\0build\0"),
        ("docker", b"docker\0buildx\0imagetools\0"),
        ("", b"docker\0buildx\0build\0"),
    ):
        spy.use = {CANARY: use}
        (spy.top / "log" / "x.1.argv").write_bytes(words)
        (spy.top / "log" / "x.1.environ").write_bytes(b"A=1\0TOKEN=" + CANARY.encode())
        with pytest.raises(AssertionError, match="environment of"):
            spy.check_children()
