"""Judges whether the pods' containers fit the image that the Dockerfile makes."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Sequence

from model_gitops.core.deploy.containers import Container
from model_gitops.core.doctor.finding import Finding, Part, joined
from model_gitops.core.image.runtime import Runtime

_NOTHING = "no manifest here has a container with the image"
# What every image has, or starts what it is told to.
_CARRIED = (
    "let the Dockerfile start your server; or mount the image as a volume, or give its address to KServe:"
    " docs/how-to/serving.md of model-gitops"
)
_EVERYWHERE = ("sh", "bash", "env", "tini", "dumb-init", "exec", "sleep")


def user(containers: Sequence[Container], image: Runtime | None) -> Finding:
    """Judge who runs the containers. `image` is None where nobody here knows how it is made."""
    return _judged("container-user", containers, image, _user)


def command(containers: Sequence[Container], image: Runtime | None, dockerfile: str) -> Finding:
    """Judge what the containers start; `dockerfile` is the text of it, and of what it may install."""

    def judge(one: Container, made: Runtime) -> Part:
        return _command(one, made, dockerfile)

    return _judged("container-command", containers, image, judge)


def ports(containers: Sequence[Container], image: Runtime | None) -> Finding:
    """Judge the ports of the containers, and what their probes ask."""
    if not containers:
        return Finding("container-ports", None, _NOTHING, "see the check overlay-images")
    parts = [_sure(part, one) for one in containers for part in _probes(one, image or Runtime())]
    if image is None and containers and not any(one.ok is False for one in parts):
        return _unknown("container-ports")
    parts += [_sure(part, one) for one in containers for part in _exposed(one, image or Runtime())]
    return joined("container-ports", parts)


def _judged(
    check: str,
    containers: Sequence[Container],
    image: Runtime | None,
    judge: Callable[[Container, Runtime], Part],
) -> Finding:
    if not containers:
        return Finding(check, None, _NOTHING, "see the check overlay-images")
    if image is None:
        return _unknown(check)
    return joined(check, [_sure(judge(one, image), one) for one in containers])


def _sure(part: Part, one: Container) -> Part:
    """Return a part that is wrong only where nothing may still mend it."""
    if part.ok is not False or not one.unread:
        return part
    problem = f"{part.found}, unless {one.unread} changes it, which is not applied here"
    return Part(None, problem, "kustomize build OVERLAY, and look at what it makes")


def _unknown(check: str) -> Finding:
    return Finding(check, None, "there is no Dockerfile here that says how the image runs")


def _user(one: Container, image: Runtime) -> Part:
    said, where = image.user.partition(":")[0], f"{one.kind} {one.name} in {one.file}"
    number = int(said) if said.isascii() and said.isdecimal() else None
    if one.not_root and one.user == 0:
        return Part(
            False,
            f"{where} runs as user 0 and must not be root: no pod starts",
            f"in {one.file}: runAsUser: {number or 10001}",
        )
    if number is not None and one.user is not None and number != one.user:
        return Part(
            False,
            f"{where} runs as user {one.user}, and the Dockerfile is made for {number}",
            f"in {one.file}: runAsUser: {number}",
        )
    if one.not_root and one.user is None:
        if number == 0 or said == "root":
            return Part(
                False,
                f"{where} must not be root, and the Dockerfile says USER {said}: no pod starts",
                "in the Dockerfile: USER 10001:10001",
            )
        if said and number is None:
            return Part(
                False,
                f"{where} must not be root, and Kubernetes can't tell who USER {said} is: no pod starts",
                f"in {one.file}, under securityContext: runAsUser: the number that `id -u {said}` prints in the image",
            )
        if not said:
            return Part(
                None,
                f"{where} must not be root, and the Dockerfile sets no USER: its base image decides",
                "in the Dockerfile: USER 10001:10001",
            )
    if one.user is not None:
        return Part(True, f"user {one.user}")
    return Part(True, f"user {said}" if said else "the user of the base image")


def _command(one: Container, image: Runtime, dockerfile: str) -> Part:
    where = f"{one.kind} {one.name} in {one.file}"
    if not one.command:
        # `args` takes the place of CMD; what ENTRYPOINT starts is the image's own.
        if image.words or one.arguments:
            return Part(True, "what the image starts")
        if image.is_from_scratch:
            if one.kind == "PodTemplate":
                return Part(True, "a template, which nothing starts")
            return Part(False, f"{where} would start an image that only carries files", _CARRIED)
        return Part(
            None, f"neither {where} nor the Dockerfile says what is started: its base image decides"
        )
    program = one.command[0]
    name = posixpath.basename(program)
    own = image.words
    known = [word for word in own if word == program or posixpath.basename(word) == name]
    exact = any(word == program or "/" not in word or "/" not in program for word in known)
    if exact or name in _EVERYWHERE or _mentions(dockerfile, program if known else name):
        return Part(True, " ".join(one.command[:3]))
    if image.is_from_scratch and not own:
        said = f"{where} starts {program}, and the image only carries files"
        return Part(False, said, _CARRIED)
    started = " ".join(own) or "what its base image says"
    fix = f"command: {_flow(own)}" if own else "take `command:` out"
    return Part(
        False,
        f"{where} starts {program}, which the Dockerfile does not have: it starts {started}",
        f"in {one.file}: {fix}",
    )


def _mentions(dockerfile: str, program: str) -> bool:
    """Whether a program's name stands in the Dockerfile, outside of comments."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    return re.search(rf"(?<![\w-]){re.escape(program)}(?![\w-])", "\n".join(lines)) is not None


def _flow(words: Sequence[str]) -> str:
    plain = [
        word
        if re.fullmatch(r"[A-Za-z/._][A-Za-z0-9/._=:-]*|--?[a-z][a-z-]*", word)
        else json.dumps(word)
        for word in words
    ]
    return f"[{', '.join(plain)}]"


def _probes(one: Container, image: Runtime) -> list[Part]:
    named, numbers = one.ports or {}, set((one.ports or {}).values())
    parts = []
    for probe in one.probes:
        where = f"{probe.name} of {one.kind} {one.name} in {one.file}"
        if probe.port.isdecimal():
            # A port need not be declared; where some are, the probed one is among them as a rule.
            if numbers and int(probe.port) not in {*numbers, *image.ports}:
                parts.append(
                    Part(
                        False,
                        f"{where} asks port {probe.port}, and the container has {_told(numbers)}",
                        f"in {one.file}, under {probe.name}: port: {min(numbers)}",
                    )
                )
        elif probe.port not in named:
            have = ", ".join(named) or "none"
            parts.append(
                Part(
                    False,
                    f"{where} asks the port {probe.port!r}, and the container's ports are called {have}",
                    f"in {one.file}, under {probe.name}: port: {next(iter(named), 'http')}",
                )
            )
    return parts


def _exposed(one: Container, image: Runtime) -> list[Part]:
    if not one.ports:
        return [Part(True, f"{one.kind} {one.name} names no port")]
    if not image.ports:
        return [Part(True, f"port {_told(one.ports.values())}; the Dockerfile names none")]
    parts = []
    for port in one.ports.values():
        if port in image.ports:
            parts.append(Part(True, f"port {port}"))
        elif not any(each in image.ports for each in one.ports.values()):
            parts.append(
                Part(
                    False,
                    f"{one.kind} {one.name} in {one.file} has port {port}, and the Dockerfile"
                    f" EXPOSE {_told(image.ports)}",
                    f"in {one.file}: containerPort: {image.ports[0]}",
                )
            )
    return parts


def _told(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
