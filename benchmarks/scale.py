"""One deploy repository for a thousand applications: a bump beside the plain tools, and 200 bumps at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.repositories import WHO, clone, data, git, imported
from benchmarks.timing import RUN, Command, Result, answer, compare, expect

APPLICATIONS = (10, 100, 1_000)
ENVIRONMENTS = ("dev", "staging", "production")
# How many deploy commits each overlay has.
DEPLOYMENTS = 3
# Of the bumps at once: of overlays of their own, of one overlay from as many commits of its model, and
# of one deployment that so many runs make.
OWN, ONE_OVERLAY, ONE_DEPLOYMENT = 140, 40, 20


def measure(work: Path) -> list[Result]:
    """Repositories of 10, 100 and 1,000 applications × 3 environments; the last one takes 200 bumps at once."""
    results = []
    for number in APPLICATIONS:
        folder = work / str(number)
        folder.mkdir()
        deploy = imported("".join(_deployments(number)), folder / "deploy.git")
        results.append(_one(folder, deploy, number))
    results.append(_at_once(work / str(APPLICATIONS[-1]), APPLICATIONS[-1]))
    return results


def _one(folder: Path, deploy: Path, applications: int) -> Result:
    kustomize = shutil.which("kustomize")
    if kustomize is None:
        sys.exit("kustomize is not on PATH")

    def raw(number: int) -> list[tuple[Command, Path]]:
        to = folder / "raw"
        shutil.rmtree(to, ignore_errors=True)
        author = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
        return [
            (["git", "clone", "--quiet", "--depth=1", deploy.as_uri(), str(to)], folder),
            ([kustomize, "edit", "set", "image", f"app=:raw{number}"], to / _overlay(1, "dev")),
            (["git", *author, "commit", "--quiet", "-am", "raw"], to),
            (["git", "push", "--quiet"], to),
        ]

    return compare(
        f"bump-kustomize-tag, {applications:,} applications × 3 environments,"
        f" {applications * 3 * DEPLOYMENTS:,} commits",
        "`git clone --depth=1`, `kustomize edit set image`, commit, push",
        raw,
        lambda number: (_bump(deploy, _overlay(2, "dev"), f"app=:ours{number}"), folder),
        runs=5,
    )


@dataclass(frozen=True)
class _Bump:
    command: Command
    cwd: Path
    output: Path


def _at_once(folder: Path, applications: int) -> Result:
    """Start 200 bumps together, and the same ones one after another; each must land or be superseded."""
    together, in_turn = folder / "deploy.git", folder / "in-turn.git"
    shutil.copytree(together, in_turn)
    model = _model(folder)
    seconds = {}
    for deploy, workers in ((in_turn, 1), (together, OWN + ONE_OVERLAY + ONE_DEPLOYMENT)):
        jobs = _jobs(folder, deploy, model, applications)
        before = int(answer(["git", "rev-list", "--count", "main"], deploy))
        start = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            codes = list(pool.map(_start, jobs))
        seconds[deploy] = time.perf_counter() - start
        expect(not any(codes), f"no bump to fail, not {Counter(codes)}")
        said = Counter(_operation(one) for one in jobs)
        print(
            f"{len(jobs)} bumps, {workers} at once: {dict(said)}, {seconds[deploy]:.0f} s",
            file=sys.stderr,
        )
        expect(
            said.total() == len(jobs) and set(said) <= {"pushed", "superseded", "none"}, f"{said}"
        )
        landed = int(answer(["git", "rev-list", "--count", "main"], deploy)) - before
        expect(landed == said["pushed"], f"{said['pushed']} commits, not {landed}")
        _verify(deploy, model)
    return Result(
        f"bump-kustomize-tag, {len(jobs)} at once, {applications:,} applications × 3 environments",
        "the same bumps one after another",
        seconds[in_turn], seconds[together], 1, 1,
    )  # fmt: skip


def _jobs(folder: Path, deploy: Path, model: Path, applications: int) -> list[_Bump]:
    commits = answer(["git", "rev-list", "--reverse", "main"], model).split()
    bumps = [
        (_overlay(number % applications, ENVIRONMENTS[number % 3]), f"app=:new{number}", "")
        for number in range(3, 3 + OWN)
    ]
    bumps += [(_overlay(1, "dev"), f"app=:{commit}", commit) for commit in commits]
    bumps += [(_overlay(2, "staging"), f"app=:{commits[0]}", commits[0])] * ONE_DEPLOYMENT
    jobs = []
    for number, (path, image, commit) in enumerate(bumps):
        trailers = f"Source-Repository: acme/model\nSource-Commit: {commit}" if commit else ""
        output = folder / f"{deploy.stem}-{number}"
        jobs.append(_Bump([*_bump(deploy, path, image), "--trailers", trailers], model, output))
    return jobs


def _bump(deploy: Path, path: str, image: str) -> Command:
    where = ["--repository", deploy.as_uri(), "--path", path]
    return [RUN, "bump-kustomize-tag", *where, "--images", image]


def _start(job: _Bump) -> int:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "MODEL_GITOPS_"))}
    done = subprocess.run(
        job.command, cwd=job.cwd, env={**kept, "GITHUB_OUTPUT": str(job.output)},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    if done.returncode:
        print(done.stdout[-500:] + done.stderr[-500:], file=sys.stderr)
    return done.returncode


def _operation(job: _Bump) -> str:
    lines = job.output.read_text("utf-8").splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("operation"))
    return lines[place].partition("operation=")[2] or lines[place + 1]


def _verify(deploy: Path, model: Path) -> None:
    """Each overlay has what the latest of its bumps asked for."""
    newest = answer(["git", "rev-parse", "main"], model).strip()
    wanted = {_overlay(1, "dev"): newest, _overlay(3, ENVIRONMENTS[0]): "new3"}
    wanted[_overlay(OWN + 2, ENVIRONMENTS[(OWN + 2) % 3])] = f"new{OWN + 2}"
    for path, tag in wanted.items():
        text = answer(["git", "show", f"main:{path}/kustomization.yaml"], deploy)
        expect(f"newTag: {tag}\n" in text, f"{tag} in {path}, not {text}")


def _overlay(application: int, environment: str) -> str:
    return f"applications/a{application}/overlays/{environment}"


def _deployments(applications: int) -> list[str]:
    """Return a history in which every overlay of every application was deployed in turn."""
    overlays = [_overlay(one, name) for one in range(applications) for name in ENVIRONMENTS]
    stream = []
    for number in range(len(overlays) * DEPLOYMENTS):
        stream.append(
            f"commit refs/heads/main\ncommitter {WHO} {1700000000 + number} +0000\n"
            f"{data(f'Deploy v0.0.{number}')}"
        )
        for path in overlays if number == 0 else [overlays[number % len(overlays)]]:
            text = f"images:\n  - name: app\n    newName: ghcr.io/acme/app\n    newTag: v0.0.{number}\n"
            stream.append(f"M 644 inline {path}/kustomization.yaml\n{data(text)}")
    return stream


def _model(folder: Path) -> Path:
    """Make the checkout of a model repository of 40 commits."""
    stream = [
        f"commit refs/heads/main\ncommitter {WHO} {1700000000 + number} +0000\n{data('change')}"
        f"M 644 inline number\n{data(str(number))}"
        for number in range(ONE_OVERLAY)
    ]
    checkout = clone(imported("".join(stream), folder / "model.git"), folder / "model")
    git(checkout, "config", "gc.auto", "0")
    return checkout
