"""One deploy repository for many applications: a bump beside the plain tools, and many bumps at once."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.deploys import by_hand, commits
from benchmarks.repositories import WHO, clone, data, git, imported
from benchmarks.rows import Kind, Point, Row, Target
from benchmarks.timing import RUN, Command, Steps, answer, expect, figures, folders, point, sample

ENVIRONMENTS = ("dev", "staging", "production")
# How many deploy commits each overlay has.
DEPLOYMENTS = 3
# Of the bumps at once: of overlays of their own, of one overlay from as many commits of its model, and
# of one deployment that so many runs make.
OWN, ONE_OVERLAY, ONE_DEPLOYMENT = 140, 40, 20


APPLICATIONS = Row(
    name="bump-applications",
    work="bump-kustomize-tag in a repository of many applications × 3 environments × 3 deployments",
    size="applications",
    peer="`git clone --depth=1`, `kustomize edit set image`, commit, push",
    tools=("git", "kustomize"),
    targets=(Target(Kind.GROWTH, 2, "cpu", 1_000),),
    means="What a deployment costs as the number of teams that share the repository grows.",
    floor="One fetch and one push.",
)
AT_ONCE = Row(
    name="bumps-at-once",
    work=f"{OWN + ONE_OVERLAY + ONE_DEPLOYMENT} bumps started together, of which each lands or is superseded",
    size="applications",
    peer="the same bumps one after another",
    tools=("git",),
    targets=(),
    means=f"{OWN} have overlays of their own, {ONE_OVERLAY} one overlay from as many commits of its model,"
    f" {ONE_DEPLOYMENT} are one deployment. A lost race is fetched and decided again.",
    floor="Git takes one push at a time.",
    slower="On a machine of few cores the ones in turn have all of it to themselves.",
)
WRITERS = Row(
    name="writers-of-one-overlay",
    work="bumps of one overlay started together, of which each lands",
    size="writers",
    peer="the same bumps one after another",
    tools=("git",),
    targets=(Target(Kind.SHARE, 1.2, size=50),),
    means="Every writer wants the same line of the same file, and none is older than another.",
    floor="Git takes one push at a time, and who was not first must read what was pushed.",
    slower="On a machine of few cores the ones in turn have all of it to themselves: runners have one each.",
)


def measure(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """One bump in repositories of so many applications."""
    found = []
    for size, folder in folders(work, sizes):
        model = _model(folder)
        deploy = imported("".join(_deployments(size, model)), folder / "deploy.git")
        found.append(_one(folder, deploy, model, size))
    return {APPLICATIONS.name: found}


def measure_at_once(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """Many bumps at once in repositories of so many applications, and the same in turn."""
    found = []
    for size, folder in folders(work, sizes):
        model = _model(folder)
        imported("".join(_deployments(size, model)), folder / "deploy.git")
        found.append(_at_once(folder, model, size))
    return {AT_ONCE.name: found}


def measure_writers(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """So many bumps of one overlay at once, and the same in turn."""
    found = []
    for size, folder in folders(work, sizes):
        sides = {}
        model = _model(folder)
        for name in ("in-turn", "together"):
            deploy = imported("".join(_deployments(1, model)), folder / f"{name}.git")
            before = commits(deploy)
            steps = [
                (_bump(deploy, _overlay(0, "dev"), f"app=:new{one}"), folder) for one in range(size)
            ]
            sides[name] = figures([sample(steps, together=name == "together", limit=900)])
            landed = commits(deploy) - before
            expect(landed == size, f"{landed} of {size} writers landed")
        found.append(Point(size, sides["together"], sides["in-turn"]))
    return {WRITERS.name: found}


def _one(folder: Path, deploy: Path, model: Path, size: int) -> Point:
    def raw(number: int) -> Steps:
        return by_hand(deploy, folder / "raw", _overlay(1, "dev"), f"app=:raw{number}")

    newest = _model_commits(model)[-1]

    def ours(number: int) -> Steps:
        # An overlay each time, so that its last deployment is as far back as it would be.
        path = _overlay(2 + number, "dev")
        return [(_bump(deploy, path, f"app=:ours{number}", newest), model)]

    return point(size, ours=ours, peer=raw, runs=5)


@dataclass(frozen=True)
class _Bump:
    command: Command
    cwd: Path
    output: Path


def _at_once(folder: Path, model: Path, applications: int) -> Point:
    """Start all bumps together, and the same ones one after another; each must land or be superseded."""
    together, in_turn = folder / "deploy.git", folder / "in-turn.git"
    shutil.copytree(together, in_turn)
    sides = {}
    for deploy in (in_turn, together):
        jobs = _jobs(folder, deploy, model, applications)
        before = commits(deploy)
        steps = [(["env", f"GITHUB_OUTPUT={one.output}", *one.command], one.cwd) for one in jobs]
        sides[deploy] = figures([sample(steps, together=deploy is together, limit=900)])
        said = Counter(_operation(one) for one in jobs)
        print(f"  {deploy.stem}: {dict(said)}, {sides[deploy].wall:.0f} s", file=sys.stderr)
        expect(
            said.total() == len(jobs) and set(said) <= {"pushed", "superseded", "none"}, f"{said}"
        )
        landed = commits(deploy) - before
        expect(landed == said["pushed"], f"{said['pushed']} commits, not {landed}")
        _verify(deploy, model)
    return Point(applications, sides[together], sides[in_turn])


def _jobs(folder: Path, deploy: Path, model: Path, applications: int) -> list[_Bump]:
    _, *commits = _model_commits(model)
    bumps = [
        (_overlay(number % applications, ENVIRONMENTS[number % 3]), f"app=:new{number}", commits[0])
        for number in range(3, 3 + OWN)
    ]
    bumps += [(_overlay(1, "dev"), f"app=:{commit}", commit) for commit in commits]
    bumps += [(_overlay(2, "staging"), f"app=:{commits[0]}", commits[0])] * ONE_DEPLOYMENT
    return [
        _Bump(_bump(deploy, *one), model, folder / f"{deploy.stem}-{number}")
        for number, one in enumerate(bumps)
    ]


def _bump(deploy: Path, path: str, image: str, commit: str = "") -> Command:
    where = ["--repository", deploy.as_uri(), "--path", path]
    origin = _origin(path, commit) if commit else ""
    return [RUN, "bump-kustomize-tag", *where, "--images", image, "--trailers", origin]


def _origin(overlay: str, commit: str) -> str:
    return f"Source-Repository: acme/{overlay.split('/')[1]}\nSource-Commit: {commit}"


def _operation(job: _Bump) -> str:
    lines = job.output.read_text("utf-8").splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("operation"))
    return lines[place].partition("operation=")[2] or lines[place + 1]


def _verify(deploy: Path, model: Path) -> None:
    """Each overlay has what the latest of its bumps asked for."""
    newest = _model_commits(model)[-1]
    wanted = {_overlay(1, "dev"): newest, _overlay(3, ENVIRONMENTS[0]): "new3"}
    wanted[_overlay(OWN + 2, ENVIRONMENTS[(OWN + 2) % 3])] = f"new{OWN + 2}"
    for path, tag in wanted.items():
        text = answer(["git", "show", f"main:{path}/kustomization.yaml"], deploy)
        expect(f"newTag: {tag}\n" in text, f"{tag} in {path}, not {text}")


def _overlay(application: int, environment: str) -> str:
    return f"applications/a{application}/overlays/{environment}"


def _deployments(applications: int, model: Path) -> list[str]:
    """Return a history in which every overlay of every application was deployed in turn.

    Messages are those of bump-kustomize-tag, of as many model repositories with one history as there are applications.
    """
    deployed = _model_commits(model)[0]
    overlays = [_overlay(one, name) for one in range(applications) for name in ENVIRONMENTS]
    stream = []
    for number in range(len(overlays) * DEPLOYMENTS):
        said = _origin(overlays[number % len(overlays)], deployed)
        message = data(f"Deploy v0.0.{number}\n\n{said}\n")
        stream.append(
            f"commit refs/heads/main\ncommitter {WHO} {1700000000 + number} +0000\n{message}"
        )
        for path in overlays if number == 0 else [overlays[number % len(overlays)]]:
            text = f"images:\n  - name: app\n    newName: ghcr.io/acme/app\n    newTag: v0.0.{number}\n"
            stream.append(f"M 644 inline {path}/kustomization.yaml\n{data(text)}")
    return stream


def _model(folder: Path) -> Path:
    """Make the checkout of a model repository: a commit that is deployed, and those of one overlay."""
    stream = [
        f"commit refs/heads/main\ncommitter {WHO} {1700000000 + number} +0000\n{data('change')}"
        f"M 644 inline number\n{data(str(number))}"
        for number in range(1 + ONE_OVERLAY)
    ]
    checkout = clone(imported("".join(stream), folder / "model.git"), folder / "model")
    git(checkout, "config", "gc.auto", "0")
    return checkout


def _model_commits(model: Path) -> list[str]:
    """Return the model's commits, oldest first."""
    return answer(["git", "rev-list", "--reverse", "main"], model).split()
