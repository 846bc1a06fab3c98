"""status of three environments, in histories that grow: beside the same of an older commit."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.many_versions import pointer
from benchmarks.repositories import WHO, clone, data, imported
from benchmarks.rows import Kind, Point, Row, Target
from benchmarks.timing import RUN, Steps, answer, expect, older, point

# Where tags were searched one by one, and whole histories fetched.
BEFORE = os.environ.get("BENCH_BEFORE") or "fdba187"
MODEL, IMAGE = "diabetes", "ghcr.io/acme/diabetes"
ENVIRONMENTS = {"dev": "main", "staging": "staging", "production": "production"}
# Others that deploy from the same repository, each to overlays of its own.
_OTHERS = 27
_START = 1700000000
_SHARED = {
    "size": "deploy commits, and twice as many tags",
    "peer": f"the same of commit {BEFORE}",
    "tools": ("git",),
}

STATUS = Row(
    name="status",
    work="status of 3 environments, each deployed among the newest 30 commits",
    targets=(Target(Kind.FASTER, 3, "cpu"), Target(Kind.GROWTH, 1.2, "cpu")),
    means="What runs where, by overlays, tags and commits. Neither side asks a registry.",
    floor="A listing of the model repository's refs: its server tells all its tags.",
    **_SHARED,  # type: ignore[arg-type]
)
WAITS = Row(
    name="status-waits",
    work="status of 3 environments, of which production was deployed once, by one of the first commits",
    targets=(Target(Kind.FASTER, 1, "cpu"),),
    means="By which commit production came to be what it is, is told at the far end of the history.",
    floor="As above, and every deploy commit with its trees: they alone say that nobody went back since.",
    slower="It grows with the history.",
    **_SHARED,  # type: ignore[arg-type]
)


def measure(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """Deploy repositories of so many commits."""
    found: dict[str, list[Point]] = {STATUS.name: [], WAITS.name: []}
    with older(BEFORE, "status") as before:
        for size in sizes:
            for row in (STATUS, WAITS):
                folder = work / f"{row.name}-{size}"
                folder.mkdir()
                checkout = repositories(folder, size, waits=row is WAITS)
                found[row.name].append(_measure(before, checkout, size, waits=row is WAITS))
    return found


def _measure(before: str, checkout: Path, size: int, *, waits: bool) -> Point:
    env = ["env", f"PATH={without_buildx(checkout.parent)}"]

    def status(run_sh: str) -> Steps:
        return [([*env, run_sh, "status", "--json", "true"], checkout)]

    for run_sh in (RUN, before):
        ((command, cwd),) = status(run_sh)
        told = json.loads(answer(command, cwd))["environments"]
        wanted = {name: f"v0.0.{number}" for name, number in deployed(size, waits=waits).items()}
        runs = {one["name"]: one["version"] for one in told}
        expect(runs == wanted, f"{wanted}, not {runs}")
    return point(
        size,
        ours=lambda _: status(RUN),
        peer=lambda _: status(before),
        floor=lambda _: [(["git", "ls-remote", "--quiet", "origin"], checkout)],
        runs=5,
    )


def without_buildx(folder: Path) -> str:
    """Return a PATH whose docker has no buildx: no registry is asked, and nobody waits for one."""
    docker = folder / "bin/docker"
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\necho \"docker: 'buildx' is not a docker command.\" >&2\nexit 1\n")
    docker.chmod(0o755)
    return f"{docker.parent}:{os.environ['PATH']}"


def repositories(work: Path, commits: int, *, waits: bool = False) -> Path:
    """Make the model's and the deploy repository in `work`, and return the model's checkout.

    The deploy repository has so many commits, the model's as many versions, each with a stage tag.
    Each tenth deploy commit is ours, to the environments in turn; with `waits` production got only one.
    """
    model = imported("".join(_model(commits, work / "deploy.git", waits=waits)), work / "model.git")
    newest = f"{MODEL}@v0.0.{commits}"
    hashes = answer(["git", "rev-list", "--reverse", newest], model).split()
    imported("".join(_deployments(commits, hashes, waits=waits)), work / "deploy.git")
    return clone(model, work / "model")


def deployed(commits: int, *, waits: bool) -> dict[str, int]:
    """Return which version each environment runs."""
    made = (_deploys(number, waits=waits) for number in range(1, commits + 1))
    return dict(one for one in made if one)


def _deploys(number: int, *, waits: bool) -> tuple[str, int] | None:
    """Return the environment and the version of deploy commit `number`, None for another's.

    What dev got goes to staging and to production, ten commits later each.
    """
    place = number // 10 % 3 - 1
    if number % 10 or (place == -1 and waits and number > 30):
        return None
    return list(ENVIRONMENTS)[place], number - place % 3 * 10


def _deployments(commits: int, hashes: Sequence[str], *, waits: bool) -> list[str]:
    paths = [f"o{number}" for number in range(_OTHERS)]
    stream = []
    for number in range(commits + 1):
        ours = _deploys(number, waits=waits) if number else None
        path, version = ours or (paths[number % _OTHERS], number)
        model = MODEL if ours else "app"
        said = f"Model: {model}@v0.0.{version}\nModel-Hash: a{version:031x}\n"
        said += f"Image-Digest: sha256:{version:064x}\nSource-Repository: acme/{model}\n"
        said += f"Source-Commit: {hashes[version - 1] if ours else f'{version:040x}'}\n"
        message = f"Deploy {model} v0.0.{version} to {path}\n\n{said}" if number else "Begin"
        stream.append(f"commit refs/heads/main\ncommitter {WHO} {_START + number} +0000\n")
        stream.append(data(message))
        for one in [path] if number else [*paths, *ENVIRONMENTS]:
            entry = MODEL if one in ENVIRONMENTS else "app"
            text = f"images:\n- name: {entry}\n  newName: ghcr.io/acme/{entry}\n"
            text += (
                f"  newTag: v0.0.{version}\n  digest: sha256:{version:064x}\n"
                if number
                else "  newTag: not-deployed-yet\n"
            )
            stream.append(f"M 644 inline overlays/{one}/kustomization.yaml\n{data(text)}")
    return stream


def _model(commits: int, deploy: Path, *, waits: bool) -> list[str]:
    """Each version has a commit of its own; the branches are where their environments are."""
    promotion = {
        "model": MODEL,
        "image": IMAGE,
        "deploy": {"repository": deploy.as_uri()},
        "environments": [{"name": one, "branch": branch} for one, branch in ENVIRONMENTS.items()],
        "gate": [{"metric": "metrics.json:accuracy", "better": "higher", "tolerance": 0.1}],
    }
    stream = []
    for number in range(1, commits + 1):
        files = {"model.bin.dvc": pointer(number)}
        if number == 1:
            files["dvc.yaml"] = f"artifacts:\n  {MODEL}: {{path: model.bin, type: model}}\n"
            files["metrics.json"] = '{"accuracy": 0.9}\n'
            files["promotion.yaml"] = json.dumps(promotion)
        stream.append(
            f"commit refs/heads/main\nmark :{number}\ncommitter {WHO} {_START + number} +0000\n"
        )
        stream.append(data(f"model {number}"))
        stream += [f"M 644 inline {name}\n{data(body)}" for name, body in files.items()]
    now = deployed(commits, waits=waits)
    for number in range(1, commits + 1):
        stage, version = _deploys(number, waits=waits) or ("trial", number)
        for mark, name in ((number, f"@v0.0.{number}"), (version, f"#{stage}#{number}")):
            stream.append(f"tag {MODEL}{name}\nfrom :{mark}\n")
            stream.append(f"tagger {WHO} {_START + number} +0000\n{data(name)}")
    stream += [
        f"reset refs/heads/{branch}\nfrom :{now[one]}\n\n" for one, branch in ENVIRONMENTS.items()
    ]
    return stream
