"""Deliver what a push brought, in the cluster: the commands of deploy.yml of the model repository.

Usage: deliver.py build|smoke|deploy. Each is one pod of the WorkflowTemplate beside this file, which says what it
holds. Only Python's own library is used; `model-gitops`, `git` and, to build, `docker` with buildx do the work.

A webhook says three things: which branch (PUSHED_REF) went from which commit (PUSHED_BEFORE) to which
(PUSHED_COMMIT). They are a hint. Which repository is read the manifest says, whether the branch has the
commit Git says, and what is allowed, built and deployed promotion.yaml and the deploy repository say.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

REFUSED, BAD_INPUT, AWAY = 3, 2, 4
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
SOCKET_SECONDS = 120

SECRETS = Path(os.environ.get("SECRETS") or "/secrets")
TEMPORARY = Path(tempfile.gettempdir())  # /tmp: the one place that may be written
OUT = Path(os.environ.get("OUT") or TEMPORARY / "out")
WORK = Path(os.environ.get("WORK") or TEMPORARY / "work")
CHECKOUT = WORK / "checkout"


class Stop(Exception):
    """The end, with an exit code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def secret(name: str) -> str:
    """Return the text of a mounted secret; empty where there is none."""
    file = SECRETS / name
    return file.read_text("utf-8").strip() if file.is_file() else ""


def given(name: str) -> str:
    """Return a variable that the manifest sets."""
    return os.environ.get(name, "").strip()


def git(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run git in the checkout."""
    command = ["git", "-C", str(CHECKOUT), *words]
    return subprocess.run(command, text=True, capture_output=True, env=env, check=False)


def must(done: subprocess.CompletedProcess[str]) -> str:
    """Return what git said. Raises Stop where it failed."""
    if done.returncode:
        raise Stop(AWAY, f"git {done.args[3]} failed: {done.stderr.strip()[-1000:]}")
    return done.stdout.strip()


def branch() -> str:
    """Return the pushed branch. Raises Stop where the webhook names none."""
    ref = given("PUSHED_REF")
    name = ref.removeprefix("refs/heads/")
    checked = ["git", "check-ref-format", "--branch", name]
    if (
        name == ref
        or name.startswith("-")
        or subprocess.run(checked, capture_output=True, check=False).returncode
    ):
        raise Stop(BAD_INPUT, f"PUSHED_REF={ref!r} is no branch, as refs/heads/NAME")
    return name


def check_out() -> None:
    """Clone the repository, as a workflow's checkout does, at the pushed commit.

    Raises Stop where the branch has no such commit, whoever says so.
    """
    name, commit, before = branch(), given("PUSHED_COMMIT"), given("PUSHED_BEFORE")
    for variable, value in (("PUSHED_COMMIT", commit), ("PUSHED_BEFORE", before)):
        if not COMMIT.fullmatch(value):
            raise Stop(BAD_INPUT, f"{variable}={value!r} is no commit")
    repository = given("REPOSITORY")
    shutil.rmtree(CHECKOUT, ignore_errors=True)
    CHECKOUT.mkdir(parents=True)
    must(git("init", "--quiet"))
    must(git("remote", "add", "origin", f"{repository}.git"))
    if token := secret("source/token"):
        # Never an argument: whoever lists the processes would see it.
        login = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        server = "/".join(repository.split("/")[:3])
        with (CHECKOUT / ".git" / "config").open("a", encoding="utf-8") as config:
            config.write(f'[http "{server}/"]\n\textraheader = AUTHORIZATION: basic {login}\n')
    must(git("fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"))
    tip = f"refs/remotes/origin/{name}"
    if git("merge-base", "--is-ancestor", commit, tip).returncode:
        raise Stop(REFUSED, f"the branch {name} of {repository} has no commit {commit}")
    must(git("checkout", "--quiet", "--detach", commit))
    event = {
        "ref": given("PUSHED_REF"),
        "before": before,
        "after": commit,
        "created": not before.strip("0"),
        "deleted": False,
    }
    (WORK / "event.json").write_text(json.dumps(event), "utf-8")


def command(name: str, **inputs: str) -> dict[str, str]:
    """Run a command as a step of a workflow runs its action; return its outputs.

    Raises Stop with the command's own exit code.
    """
    server, _, slug = given("REPOSITORY").partition("://")[2].partition("/")
    outputs = WORK / f"outputs-{uuid.uuid4().hex}"
    told = {
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(WORK / "event.json"),
        "GITHUB_OUTPUT": str(outputs),
        "GITHUB_REF": given("PUSHED_REF"),
        "GITHUB_REPOSITORY": slug,
        "GITHUB_SERVER_URL": f"{given('REPOSITORY').partition('://')[0]}://{server}",
        "GITHUB_SHA": given("PUSHED_COMMIT"),
        "GITHUB_WORKSPACE": str(CHECKOUT),
    }
    if (SECRETS / "registry" / "config.json").is_file():
        told["DOCKER_CONFIG"] = str(docker_config())
    values = {"config": given("CONFIG") or "promotion.yaml", **inputs}
    asked = {f"MODEL_GITOPS_{key.upper()}": value for key, value in values.items()}
    env = {**os.environ, **told, **asked}
    print(f"== model-gitops {name}", file=sys.stderr, flush=True)
    # The image of the component `deploy` says how it is called.
    program = shlex.split(os.environ.get("MODEL_GITOPS") or "model-gitops")
    done = subprocess.run([*program, name], cwd=CHECKOUT, env=env, check=False)
    if done.returncode:
        raise Stop(done.returncode, f"model-gitops {name} ended with {done.returncode}")
    return read_outputs(outputs)


def read_outputs(file: Path) -> dict[str, str]:
    """Return what a command wrote into its GITHUB_OUTPUT."""
    found: dict[str, str] = {}
    lines = iter(file.read_text("utf-8").splitlines() if file.is_file() else ())
    for line in lines:
        key, _, end = line.partition("<<")
        value: list[str] = []
        while (part := next(lines, end)) != end:
            value.append(part)
        found[key] = "\n".join(value)
    return found


def docker_config() -> Path:
    """Return a folder with the registry's login and buildx, which an init container brought."""
    folder = WORK / "docker"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(SECRETS / "registry" / "config.json", folder / "config.json")
    plugins = Path(given("DOCKER_TOOLS") or "/tools")
    if plugins.is_dir() and not (folder / "cli-plugins").is_symlink():
        (folder / "cli-plugins").symlink_to(plugins)
    return folder


def wait_for_builder() -> str:
    """Return the address of the BuildKit beside us, once it listens. Raises Stop."""
    address = given("BUILDER")
    end = time.monotonic() + SOCKET_SECONDS
    while time.monotonic() < end:
        with socket.socket(socket.AF_UNIX) as asked:
            try:
                asked.connect(address.removeprefix("unix://"))
            except OSError:
                time.sleep(0.2)
            else:
                return address
    raise Stop(AWAY, f"no BuildKit listens at {address} after {SOCKET_SECONDS} s")


def put_out(**values: str) -> None:
    """Write what later pods are given: a file for each output."""
    OUT.mkdir(parents=True, exist_ok=True)
    names = ("state", "image", "version", "sha256", "fingerprint", "test")
    for name in names:
        (OUT / name).write_text(values.get(name, ""), "utf-8")


def build() -> None:
    """Is it allowed, and is an image to be built? Then build and push it."""
    check_out()
    token = secret("deploy/token")
    found = command("check-promotion", token=token, source_token=secret("source/token"))
    if found["has-model"] != "true":
        put_out(state="nothing")
    elif found["promote-image"]:
        version = found["promote-version"]
        if not version:  # an image that is built elsewhere
            version = command("gto-register-stage", model=found["model"])["version"]
        put_out(state="promote", version=version)
    elif found["artifact"]:
        raise Stop(
            BAD_INPUT,
            "promotion.yaml has `artifact:`, and no pod here has what pushes one:"
            " let deploy.yml deliver the first environment, or take the key out",
        )
    else:
        model = command("dvc-pull-model", model=found["model"])
        version = command("gto-register-stage", model=found["model"], sha256=model["sha256"])
        build_args = [f"MODEL_VERSION={version['version']}", *given("BUILD_ARGS").splitlines()]
        image = command(
            "build-push-image",
            image=found["image"],
            build_args="\n".join(build_args),
            context=found["context"],
            file=found["dockerfile"],
            target=found["target"],
            build_contexts=found["build-contexts"],
            builder=wait_for_builder(),
            model=found["model"],
            model_version=version["version"],
            model_hash=model["hash"],
            token=token,
        )
        put_out(
            state=image["operation"] if found["smoke-test"] else "untested",
            image=image["image"],
            version=version["version"],
            sha256=model["sha256"],
            fingerprint=image["fingerprint"],
            test=found["smoke-test"],
        )


def smoke() -> None:
    """Ask the image that was built, which another pod runs, what the smoke test says."""
    check_out()
    image, _, digest = given("BUILT_IMAGE").partition("@")
    target = {
        "environment": "smoke",
        "model": "smoke",
        "image": image.rpartition(":")[0],
        "digest": digest,
        "commit": given("PUSHED_COMMIT"),
        "version": "",
        "model_hash": "",
    }
    asked = {"url": given("SMOKE_URL"), "integration": given("SMOKE_TEST")}
    results = json.dumps({"target": target, "asked": asked, "row": None})
    command("verify-deployment", part="check", results=results)


def deploy() -> None:
    """Set the image in the deploy repository, and assign the stage."""
    check_out()
    token = secret("deploy/token")
    found = command("check-promotion", token=token, source_token=secret("source/token"))
    if found["has-model"] != "true":
        return
    image = found["promote-image"] or given("BUILT_IMAGE")
    version = found["promote-version"] or given("BUILT_VERSION")
    environment = found["environment"]
    images = [f"{found['overlay-entry']}={image}"]
    if found["promote-artifact"]:
        images.append(f"{found['overlay-entry']}-model={found['promote-artifact']}")
    trailers = {
        "Model": f"{found['model']}@{version}",
        "Model-Hash": found["model-hash"],
        "Model-SHA256": found["promote-sha256"] or given("BUILT_SHA256"),
        "Model-Artifact": found["promote-artifact"],
        "Image-Fingerprint": found["promote-fingerprint"] or given("BUILT_FINGERPRINT"),
    }
    bumped = command(
        "bump-kustomize-tag",
        repository=found["deploy-repository"],
        path=found["deploy-path"],
        images="\n".join(images),
        mode=found["deploy-mode"],
        token=token,
        message=f"Deploy {found['model']} {version} to {environment}",
        body=decided(environment, found["promote-image"], token),
        trailers="\n".join(f"{key}: {value}" for key, value in trailers.items()),
    )
    waits = bumped["pull-request"] != ""
    if bumped["operation"] == "pushed" or (bumped["operation"] == "none" and not waits):
        command("gto-register-stage", model=found["model"], version=version, stage=found["stage"])


def decided(environment: str, image: str, token: str) -> str:
    """Return what is decided, for the message of the deploy commit; empty where nobody can say."""
    try:
        said = command(
            "status",
            environment=environment,
            candidate="HEAD",
            candidate_image=image,
            token=token,
            source_token=secret("source/token"),
        )
    except Stop:
        return ""
    return said["table"]


def main() -> int:
    """Do the part that is asked for; return its exit code."""
    parts = {"build": build, "smoke": smoke, "deploy": deploy}
    try:
        parts[sys.argv[1]]()
    except Stop as stop:
        print(f"error: {stop}", file=sys.stderr)
        return stop.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
