"""How a project's model is served: its Dockerfile, the program in it, or a model server's own files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from model_gitops.core.adopt.models import Model
from model_gitops.core.image import dockerfile

Read = Callable[[str], str | None]

_SERVES = re.compile(
    r"\b(uvicorn|gunicorn|uwsgi|hypercorn|waitress|flask|fastapi|streamlit|gradio|torchserve|tritonserver"
    r"|tensorflow_model_server|bentoml|mlserver|serve|nginx|mlflow models serve|ray serve)\b",
    re.IGNORECASE,
)
_TRAINS = re.compile(
    r"(?:^|[./_-])(train|training|dev|devcontainer|ci|test|jupyter|notebook)(?:[./_-]|$)"
)
_USUAL_PORTS = {
    r"\bstreamlit run\b": 8501, r"\bflask run\b": 5000, r"\bgunicorn\b": 8000, r"\buvicorn\b": 8000,
    r"\bbentoml serve\b": 3000, r"\bmlserver start\b": 8080, r"\btritonserver\b": 8000,
}  # fmt: skip
# A file `Dockerfile` in the project's folder is one, whatever is in it; another must show that it serves.
_LEAST = 4
_HEALTH = re.compile(
    r"[\"'](/(?:api/)?(?:v1/)?(?:readyz?|healthz?|health_check|healthcheck|health/ready|livez?|ping|status))[\"']"
)
_PORT = re.compile(r"(?:--port[= ]|--bind[= ]\S*?:|-b[= ]\S*?:|:|--server\.port[= ])(\d{4,5})\b")


@dataclass(frozen=True)
class Image:
    """How the image is built. Paths are from the repository's top. `is_new`: adopt writes it.

    `port` is 0 where nothing tells it.
    """

    dockerfile: str
    context: str = "."
    port: int = 0
    health: str = ""
    is_new: bool = False
    text: str = field(default="", compare=False)


@dataclass(frozen=True)
class Serving:
    """The image, None where nothing tells how to build one, and what was found, in words."""

    image: Image | None
    found: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find(model: Model, in_git: frozenset[str], read: Read) -> Serving:
    """Return how the image of `model` is built."""
    found = [f"{what}: {path}" for path, what in _servers(model.project, in_git, read)]
    candidates = sorted(
        (one for one in in_git if _is_dockerfile(one)),
        key=lambda one: (-_points(one, model, read), one.count("/"), one),
    )
    candidates = [one for one in candidates if _points(one, model, read) >= _LEAST]
    if candidates:
        chosen = candidates[0]
        notes = [
            f"{one} is another Dockerfile: the image is built from {chosen}"
            for one in candidates[1:4]
        ]
        return Serving(
            _of(chosen, model, in_git, read), (*found, f"Dockerfile: {chosen}"), tuple(notes)
        )
    return Serving(None, tuple(found))


def carrier(model: Model) -> Image:
    """Return an image that carries the model and no server, as KServe (`oci://`) and Kubernetes mount it."""
    # A stage with a `wdir` writes outside of its project, and nothing is copied from outside of the context.
    context = posixpath.commonpath([f"/{model.project}", f"/{posixpath.dirname(model.path)}"])[1:]
    inside = posixpath.relpath(model.path, context or ".")
    name = posixpath.basename(inside)
    mode = 444 if posixpath.splitext(name)[1] else 555
    text = f"""\
# The model, and no server: Kubernetes mounts this image as a volume of the kind `image`. KServe does too,
# by `storageUri: oci://NAME`, where BASE_IMAGE has a shell (busybox:1.37). Where the image is to answer by
# itself, let it start your server here.
ARG BASE_IMAGE=scratch
FROM ${{BASE_IMAGE}}
COPY --chmod={mode} {_json([inside, f"/models/{name}"])}
USER 10001:10001
"""
    place = posixpath.join(model.folder, "Dockerfile")
    return Image(place, context or ".", is_new=True, text=text)


def is_carrier(text: str) -> bool:
    """Whether a Dockerfile starts nothing: it only carries files."""
    names = {one.name for one in dockerfile.instructions(text)}
    return not names & {"run", "cmd", "entrypoint", "expose"}


def smoke_test(image: Image) -> str:
    """Return the smallest smoke test that can be right; empty where no port is known."""
    if not image.port:
        return ""
    ask = f"health: {image.health}\n" if image.health else ""
    what = f"it answers {image.health} with 2xx" if image.health else "it answers at all"
    return (
        f"# The image is started before it is pushed, and passes when {what}.\n"
        "# Add a request with the answer that you expect: docs/smoke-test.md of model-gitops.\n"
        f"port: {image.port}\n{ask}timeout: 120\nread-only: false # true, where the server writes to /tmp alone\n"
    )


def _servers(folder: str, in_git: frozenset[str], read: Read) -> Iterator[tuple[str, str]]:
    """Yield what else tells of serving: path and what it is."""
    for path in sorted(in_git):
        name = posixpath.basename(path)
        if folder and not path.startswith(f"{folder}/") and path.count("/") > 1:
            continue
        if name in ("bentofile.yaml", "bentofile.yml"):
            yield path, "BentoML"
        elif name in ("model-settings.json",):
            yield path, "MLServer"
        elif name == "config.pbtxt":
            yield path, "Triton"
        elif name == "Chart.yaml":
            yield path, "Helm chart"


def _is_dockerfile(path: str) -> bool:
    name = posixpath.basename(path)
    hidden = any(part.startswith(".") for part in path.split("/")[:-1])
    return (
        not hidden
        and (
            name.lower() in ("dockerfile", "containerfile")
            or name.lower().startswith("dockerfile.")
            or name.lower().endswith(".dockerfile")
        )
        and not name.endswith((".dockerignore", ".md", ".j2", ".tmpl"))
    )


def _points(path: str, model: Model, read: Read) -> int:
    """Return how likely a Dockerfile is the one that serves `model`; negative: it is not."""
    text, folder = read(path) or "", model.project
    names_model = re.search(rf"(?:^|[\s/\"]){re.escape(model.path)}[\s/\",]", text)
    if (
        folder
        and posixpath.dirname(path)
        and not (f"{path}/").startswith(f"{folder}/")
        and not names_model
    ):
        # Of another project of the monorepo, unless it names this one.
        return 1 if re.search(rf"(?:^|[\s/]){re.escape(folder)}(?:/|\s)", text) else -1
    found = 4 if path == posixpath.join(folder, "Dockerfile") else 1
    last = [one for one in dockerfile.instructions(text) if one.name in ("cmd", "entrypoint")]
    if any(one.name == "expose" for one in dockerfile.instructions(text)):
        found += 3
    if any(_SERVES.search(one.words) for one in last):
        found += 3
    if _SERVES.search(posixpath.basename(path)) or "serv" in path.lower() or "api" in path.lower():
        found += 2
    if _TRAINS.search(path.removeprefix(f"{folder}/").lower()):
        found -= 6
    return found


def _of(path: str, model: Model, in_git: frozenset[str], read: Read) -> Image:
    text = read(path) or ""
    folder = posixpath.dirname(path)
    own = [one for one in dockerfile.instructions(text) if one.name in ("copy", "add")]
    wanted = [
        source
        for one in own
        if not any(flag.startswith("--from=") for flag in one.flags)
        for source in re.sub(r"[\[\]\",]", " ", one.words).split()[:-1]
    ]
    # The context from which most of what is copied is there: the top, the project, or beside the file.
    places = dict.fromkeys([model.project, "", folder])
    context = max(
        places, key=lambda place: sum(_is_there(place, one, in_git, model) for one in wanted)
    )
    return Image(
        path,
        context or ".",
        _port(text, context, read),
        _health(folder, model, in_git, read),
        text=text,
    )


def _is_there(place: str, source: str, in_git: frozenset[str], model: Model) -> bool:
    path = posixpath.normpath(posixpath.join(place, source))
    if path == ".":
        return place == ""
    start = path.partition("*")[0].rstrip("/")
    return (
        path in in_git
        or path == model.path
        or any(
            one.startswith(f"{start}/") or ("*" in path and one.startswith(start))
            for one in (*in_git, model.path)
        )
    )


def _port(text: str, context: str, read: Read) -> int:
    for one in dockerfile.instructions(text):
        if one.name == "expose" and (found := re.match(r"(\d{2,5})", one.words)):
            return int(found[1])
    for one in reversed(list(dockerfile.instructions(text))):
        if one.name in ("cmd", "entrypoint"):
            plain = re.sub(r"[\[\]\",]+", " ", one.words)
            plain = re.sub(r"\s+", " ", plain)
            if found := _PORT.search(plain):
                return int(found[1])
            return _port_of_program(plain, context, read)
    return 0


def _port_of_program(command: str, context: str, read: Read) -> int:
    """Return the port that the program of a command opens: as its text says, else its server's usual one."""
    for script in re.findall(r"[\w./-]+\.py\b", command):
        text = read(posixpath.normpath(posixpath.join(context, script.lstrip("/")))) or ""
        if found := re.search(r"\.run\([^)]*\bport\s*=\s*(\d{4,5})\b", text):
            return int(found[1])
    return next((port for name, port in _USUAL_PORTS.items() if re.search(name, command)), 0)


def _health(folder: str, model: Model, in_git: frozenset[str], read: Read) -> str:
    """Return the path of a probe that the project's own code serves."""
    paths = [
        one
        for one in sorted(in_git)
        if one.endswith(".py")
        and not re.search(r"(?:^|/)(tests?|docs|notebooks)/|test_", one)
        and (
            not model.project
            or one.startswith((f"{model.project}/", f"{folder}/"))
            or one.count("/") == 0
        )
    ]
    for path in paths[:300]:
        text = read(path) or ""
        if re.search(
            r"\b(fastapi|flask|starlette|aiohttp|sanic|falcon|bottle|litestar)\b",
            text,
            re.IGNORECASE,
        ) and (found := _HEALTH.search(text)):
            return found[1]
    return ""


def _json(words: list[str]) -> str:
    return (
        "["
        + ", ".join('"' + one.replace("\\", "\\\\").replace('"', '\\"') + '"' for one in words)
        + "]"
    )
