"""Docker's command line: buildx, login, push."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_gitops.adapters import docker_plugin, process
from model_gitops.adapters.docker_config import PLUGINS
from model_gitops.core import retry
from model_gitops.core.image import faults
from model_gitops.core.image.build import Builder, parse_builder
from model_gitops.core.image.caches import is_actions_cache
from model_gitops.core.image.names import is_reference_of_image
from model_gitops.core.image.progress import Progress
from model_gitops.core.image.published import Published, digest_said, manifests_of, published
from model_gitops.errors import ExternalError, InputError

# Enough for a registry's short fault; a build or a login that waits longer helps nobody.
_ATTEMPTS = 5
# A look that can be done without, on a runner without a network, takes its whole time each.
_LOOK_ATTEMPTS = 2
# A builder's image is pulled, or its pod waits for a node.
_START_SECONDS: float = 600
# A registry that takes longer for a look, a login or a tag has hung.
_ANSWER_SECONDS: float = 120
# An image goes through an engine's push or pull, whose progress is not seen, as a whole.
_TRANSFER_SECONDS: float = 3600
# A build may take as long as its own commands do, which nobody but the job's `timeout-minutes`
# knows. Only while all of it waits for a registry may it not be silent for ever; a large layer is
# pushed in silence.
_SILENT_SECONDS: float = 1800
PLATFORM_VARIABLE = "DOCKER_DEFAULT_PLATFORM"
_BUILDX_FIX = (
    "apt-get install docker-buildx-plugin (of Docker's own packages; Ubuntu's is docker-buildx);"
    " a plugin in the account's own folder is not used in a workflow unless"
    f" {PLUGINS} names that folder"
)
_INSPECT = '{"manifest":{{json .Manifest}},"image":{{json .Image}}}'


class TagTakenError(process.ProcessError):
    """A tag names another image, and the registry does not let it move."""


def default_platform() -> str:
    """Return the platform that docker's own variable asks for, or an empty string."""
    return os.environ.get(PLATFORM_VARIABLE, "")


@dataclass(frozen=True)
class Docker:
    """The docker command line; `env` says where its configuration is."""

    env: Mapping[str, str]
    builder: str = ""
    # A message of docker's that tells progress, such as a retry.
    say: Callable[[str], None] = print

    def describe_builder(self) -> Builder:
        """Ask buildx for the builder's driver and default platform.

        Raises ExternalError where docker or buildx is missing, InputError for an unknown builder.
        """
        words, name = ["buildx", "inspect"], [self.builder] if self.builder else []
        done = self._run(*words, *name, check=False)
        if done.returncode == 0:
            found = parse_builder(done.stdout)
            if found.platform:
                return found
            # One that was not started yet names none.
            done = self._run(*words, "--bootstrap", *name, check=False, timeout=_START_SECONDS)
            if done.returncode == 0:
                return parse_builder(done.stdout)
        said = done.stderr + done.stdout
        _require_buildx(said)
        if "no builder" in said:
            raise InputError.of(
                "builder", self.builder or os.environ.get("BUILDX_BUILDER", ""), "buildx has no builder of that name",
                fix="docker buildx ls shows the names; leave `builder` out for the current one",
            )  # fmt: skip
        raise process.ProcessError(done, fix=faults.build_fix(said, ""))

    def connected(self, folder: Path) -> Docker:
        """Return this command line with a builder of its own, which is at the address `builder`.

        It is known in `folder` only, and needs no engine. Raises ExternalError where docker or buildx is missing.
        """
        # Beside the configuration: what that has of builders is the user's own.
        env = {**self.env, "BUILDX_CONFIG": str(folder / "buildx")}
        made = Docker(env, "model-gitops", self.say)
        words = [
            "buildx",
            "create",
            f"--name={made.builder}",
            "--driver=remote",
            "--",
            self.builder,
        ]
        done = made._run(*words, check=False)
        if done.returncode != 0:
            _require_buildx(done.stderr + done.stdout)
            raise process.ProcessError(done, fix="")
        return made

    def require_imagetools(self) -> None:
        """Raise ExternalError where this buildx can't give an image another tag as it is."""
        done = self._run("buildx", "imagetools", "create", "--help", check=False)
        if "--prefer-index" not in done.stdout:
            version = self._run("buildx", "version", check=False).stdout.strip()
            raise ExternalError(
                f"this buildx is older than v0.15.0: {version or 'it tells no version'}",
                fix=_BUILDX_FIX,
            )

    def build(
        self, arguments: Sequence[str], metadata_file: Path, env: Mapping[str, str], name: str
    ) -> dict[str, Any]:
        """Run `docker ARGUMENTS`, a build, with its progress shown; return the metadata.

        `env` holds the build's secrets. Raises ProcessError with what can be done about it.
        """
        for attempt in range(_ATTEMPTS):
            done = self._build(arguments, {**_actions_cache(arguments), **self.env, **env})
            # What was built and pushed already is not built and pushed again.
            passing = done.returncode != 0 and faults.is_passing_build_failure(done.stderr)
            if not passing or attempt + 1 == _ATTEMPTS:
                break
            self._wait(attempt, done.stderr)
        if done.returncode != 0:
            raise process.ProcessError(done, fix=faults.build_fix(done.stderr, name))
        try:
            found = json.loads(metadata_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ExternalError(f"buildx wrote no metadata: {error}") from error
        return found if isinstance(found, dict) else {}

    def _build(self, arguments: Sequence[str], env: Mapping[str, str]) -> process.Completed:
        progress = Progress()

        def hear(line: str) -> None:
            progress.feed(line)
            self.say(line.rstrip("\n"))

        try:
            return process.run(
                self._started(*arguments),
                env=env,
                check=False,
                timeout=None,
                on_line=hear,
                patience=lambda: _SILENT_SECONDS if progress.waits else None,
            )
        except process.TimedOutError as error:
            raise ExternalError(
                f"the registry hangs: {error.message}, while the build waited for it",
                fix="look at the registry's status page, then run the job again",
            ) from error

    def inspect(self, reference: str, *, hidden: bool = True) -> Published | None:
        """Return the image that a registry has under `reference`, or None.

        None also where the registry hides it (unless `hidden` is False): many say `denied` for what
        does not exist, and the push then tells the truth. Raises ProcessError where the registry
        can't be asked.
        """
        words = ["imagetools", "inspect", *self._on_builder(), f"--format={_INSPECT}", reference]
        done = self._again("buildx", *words)
        if done.returncode == 0:
            return published(_json(done.stdout))
        said = _said(done)
        denied = faults.is_denied(said) and not faults.is_transient(said)
        if faults.is_not_found(said) or (hidden and denied):
            return None
        _require_buildx(done.stderr + done.stdout)
        raise process.ProcessError(done, fix=faults.registry_fix(reference, said))

    def digest_of(self, reference: str) -> str | None:
        """Return the digest that a registry has under `reference`; "" where there is none to be had.

        None where the registry is away or fails: another time it may tell. An image only the engine
        has, and one that these credentials don't show, are no errors: the build itself may know more.
        """
        if not is_reference_of_image(reference):
            self.say(f"{reference!r} is no image's name: its text alone counts for the fingerprint")
            return ""
        # Without a format buildx reads one manifest, not those and the configs of all platforms.
        words = ["imagetools", "inspect", *self._on_builder(), "--", reference]
        try:
            done = self._again("buildx", *words, attempts=_LOOK_ATTEMPTS)
        except ExternalError as error:
            self.say(f"no registry tells the digest of {reference} now: {error.message}")
            return None
        if done.returncode == 0 and (found := digest_said(done.stdout)):
            return found
        said = _said(done)
        away = faults.is_transient(said) and not faults.is_not_found(said)
        self.say(
            f"no registry tells the digest of {reference}{' now' if away else ''}:"
            f" {_last(done.stderr + done.stdout)}"
        )
        return None if away else ""

    def look(self, reference: str) -> str:
        """Ask the registry for an image once; return what docker said of it, "" where it is there.

        Raises ExternalError where docker or buildx is missing.
        """
        done = self._run(
            "buildx", "imagetools", "inspect", *self._on_builder(), "--", reference, check=False
        )
        if done.returncode == 0:
            return ""
        _require_buildx(done.stderr + done.stdout)
        return _said(done) or "it said nothing"

    def local_id(self, reference: str) -> str:
        """Return the ID of the engine's own image of that name; "" where it has none."""
        done = self._run("image", "inspect", "--format={{.Id}}", "--", reference, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    def configs_of(self, name: str, digest: str) -> set[str]:
        """Return the config digests of the image `name@digest`, one a platform."""
        manifest = self._raw(f"{name}@{digest}")
        children = manifests_of(manifest)
        manifests = [self._raw(f"{name}@{one}") for one in children] if children else [manifest]
        return {str((one.get("config") or {}).get("digest", "")) for one in manifests}

    def manifest_of(self, name: str, digest: str) -> dict[str, Any] | None:
        """Return the manifest of `name@digest`, of whatever type; None where the registry has none.

        Raises ProcessError where the registry can't be asked.
        """
        try:
            return self._raw(f"{name}@{digest}")
        except process.ProcessError as error:
            if faults.is_not_found(error.message):
                return None
            raise

    def manifests(self, name: str, digest: str) -> list[str]:
        """Return the digests of the images of the index `name@digest`; empty for a plain image."""
        return manifests_of(self._raw(f"{name}@{digest}"))

    def point(self, name: str, tags: Sequence[str], digest: str) -> None:
        """Let `tags` name the image `name@digest`, in the registry, its digest unchanged.

        Raises TagTakenError or ProcessError, with the fix, where the registry refuses.
        """
        if not tags:
            return
        # --prefer-index=false: a plain image stays one; wrapped in an index its digest would differ.
        words = [
            "imagetools",
            "create",
            *self._on_builder(),
            "--prefer-index=false",
            "--progress=plain",
        ]
        words += [f"--tag={name}:{tag}" for tag in tags]
        done = self._again("buildx", *words, "--", f"{name}@{digest}")
        if done.returncode != 0:
            raise _refused(done, name)

    def pull(self, reference: str, platform: str) -> None:
        """Pull an image into the engine's store. Raises ProcessError with the fix."""
        words = ["--quiet", *([f"--platform={platform}"] if platform else []), "--", reference]
        done = self._again("pull", *words, timeout=_TRANSFER_SECONDS)
        if done.returncode != 0:
            fix = "let the engine reach this registry, or build anew with `reuse: false`"
            raise process.ProcessError(done, fix=fix)

    def push(self, local: str, references: Sequence[str]) -> None:
        """Push the engine's image `local` under other names, which it has afterwards as before.

        Raises as `point`.
        """
        for reference in references:
            before = self.local_id(reference)
            self._run("tag", local, reference)
            try:
                done = self._again("push", "--quiet", "--", reference, timeout=_TRANSFER_SECONDS)
            finally:
                undo = ["tag", before] if before else ["image", "rm"]
                self._run(*undo, reference, check=False)
            if done.returncode != 0:
                raise _refused(done, reference)

    def login(self, host: str, username: str, password: str) -> None:
        """Log in to a registry (empty: Docker Hub); the password goes by standard input.

        Raises ExternalError where the registry refuses.
        """
        words = [
            "login",
            f"--username={username}",
            "--password-stdin",
            *(["--", host] if host else []),
        ]
        done = self._again(*words, input=password)
        if done.returncode == 0:
            return
        said = (done.stderr + done.stdout).strip().splitlines()
        shown = host or "docker.io"
        fix = f"check that `username` and `password` are an account's of {shown}, and not expired"
        if shown == "ghcr.io":
            fix = "password: ${{ github.token }}, with `permissions: packages: write` in the job"
        if not faults.is_denied("\n".join(said)):
            fix = f"check that {shown} can be reached from this runner"
        raise ExternalError(
            f"login to {shown} was refused: {said[-1] if said else 'no reason given'}", fix=fix
        )

    def engine_host(self) -> str:
        """Return the address of the engine that the command line uses, also of a docker context."""
        if given := os.environ.get("DOCKER_HOST", ""):
            return given
        done = self._run("context", "inspect", "--format={{.Endpoints.docker.Host}}", check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    def _raw(self, reference: str) -> dict[str, Any]:
        done = self._again(
            "buildx", "imagetools", "inspect", *self._on_builder(), "--raw", reference
        )
        if done.returncode != 0:
            raise process.ProcessError(done, fix=faults.registry_fix(reference, _said(done)))
        found = _json(done.stdout)
        return found if isinstance(found, dict) else {}

    def _on_builder(self) -> list[str]:
        # The builder knows which registries are insecure or have mirrors.
        return [f"--builder={self.builder}"] if self.builder else []

    def _run(
        self,
        *args: str,
        check: bool = True,
        input: str | None = None,
        timeout: float | None = None,
    ) -> process.Completed:
        limit = timeout or _ANSWER_SECONDS
        return process.run(
            self._started(*args), env=self.env, check=check, input=input, timeout=limit
        )

    def _started(self, *args: str) -> list[str]:
        if args[0] != "buildx":
            return ["docker", *args]
        return [*docker_plugin.buildx(self.env.get("DOCKER_CONFIG", "")), *args[1:]]

    def _again(
        self,
        *args: str,
        input: str | None = None,
        timeout: float | None = None,
        attempts: int | None = None,
    ) -> process.Completed:
        """Run docker against a registry, again after faults that may pass.

        Raises ExternalError where it never answers.
        """
        start = time.monotonic()
        attempts = min(attempts or _ATTEMPTS, _ATTEMPTS)
        for attempt in range(attempts):
            last = attempt + 1 == attempts
            try:
                done = self._run(*args, check=False, input=input, timeout=timeout)
                said = _said(done)
            except process.TimedOutError as error:
                said = error.message
                if last or time.monotonic() - start > retry.FAULT_SECONDS:
                    raise ExternalError(
                        f"the registry hangs: {said}",
                        fix="look at the registry's status page, then run the job again",
                    ) from error
            else:
                passing = faults.is_transient(said) and not faults.is_not_found(said)
                if done.returncode == 0 or not passing or last:
                    break
            self._wait(attempt, said)
        return done

    def _wait(self, attempt: int, said: str) -> None:
        self.say(f"the registry did not answer ({_last(said)}): trying again")
        # How long a limiter asks to wait docker does not tell: longer than for other faults.
        step = attempt + (5 if faults.is_limited(said) else 1)
        time.sleep(retry.pause(step, random.random()))  # noqa: S311 - jitter


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ExternalError(f"docker gave no JSON: {text[:300]!r}") from error


def _said(done: process.Completed) -> str:
    """Return what docker said, less the names that it was asked about."""
    names = (word.partition("=")[2] if word.startswith("-") else word for word in done.args)
    return faults.without_names(done.stderr + done.stdout, names)


def _refused(done: process.Completed, name: str) -> process.ProcessError:
    said = _said(done)
    kind = TagTakenError if faults.is_immutable(said) else process.ProcessError
    return kind(done, fix=faults.registry_fix(name, said))


def _last(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1][:200] if lines else "no reason given"


def _require_buildx(said: str) -> None:
    """Raise ExternalError where docker's answer means that it knows no `buildx`."""
    if any(text in said for text in ("not a docker command", "unknown command", "unknown flag")):
        raise ExternalError(
            "docker has no `buildx` on this machine",
            fix=_BUILDX_FIX,
        )


def has_actions_cache() -> bool:
    """Whether this step has the token and the address of GitHub's cache, which few steps are given."""
    address = os.environ.get("ACTIONS_RESULTS_URL") or os.environ.get("ACTIONS_CACHE_URL")
    return bool(os.environ.get("ACTIONS_RUNTIME_TOKEN") and address)


def _actions_cache(arguments: Sequence[str]) -> dict[str, str]:
    """Let the runner's cache token through to buildx, where a `type=gha` cache is asked for.

    The addresses, and which kind of service it is, are no secrets: every child has them.
    """
    asked = (word.partition("=")[2] for word in arguments if word.startswith("--cache-"))
    if not any(map(is_actions_cache, asked)):
        return {}
    token = os.environ.get("ACTIONS_RUNTIME_TOKEN", "")
    return {"ACTIONS_RUNTIME_TOKEN": token} if token else {}
