"""What reads and writes the registry, at any number of versions of one model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.many_versions import MODEL, pointer, repositories
from benchmarks.repositories import clone, git, served
from benchmarks.rows import Kind, Point, Row, Target
from benchmarks.timing import RUN, TOOLS, Steps, answer, expect, folders, point, run

# GTO needs minutes; what takes longer is reported as "more than".
_LIMIT = 60.0
_GROWTH = (
    Target(Kind.GROWTH, 2, "cpu", 10_000),
    Target(Kind.GROWTH, 5, "cpu", 40_000),
    Target(Kind.GROWTH, 2, "memory", 40_000),
)
_SIZE = "versions of one model"

REGISTER = Row(
    name="register",
    work="gto-register-stage: a new version, and its stage",
    size=_SIZE,
    peer="`gto register --push` alone",
    tools=("git", "gto"),
    targets=_GROWTH,
    means="Names come in one listing. That no version has this model yet is read from each one's commit. The"
    " server is a `git daemon` on this machine: what it does is in the time, and in no CPU time.",
    floor="`git ls-remote`, and `git push` of one tag from a clone without tags: the server lists all its refs, and"
    " checks what came against all of them.",
    slower="The server's own part grows with its refs: at 40,000 versions it is half of the time.",
)
CHECK = Row(
    name="check",
    work="check-promotion of a pull request",
    size=_SIZE,
    peer="",
    tools=("git",),
    targets=_GROWTH,
    means="Of the tags only those of the stage that is asked about are opened.",
    floor="`git ls-remote`: a server lists all its tags.",
)
GATE = Row(
    name="gate",
    work="gate-metrics against a version",
    size=_SIZE,
    peer="",
    tools=("git",),
    targets=_GROWTH,
    means="As check; two commits' metrics are read besides.",
    floor="`git ls-remote`: a server lists all its tags.",
)


def measure(work: Path, sizes: Sequence[int]) -> dict[str, list[Point]]:
    """Measure at `sizes` versions of one model."""
    found: dict[str, list[Point]] = {one.name: [] for one in (REGISTER, CHECK, GATE)}
    for size, folder in folders(work, sizes):
        origin = repositories(folder, size)
        other = Path(shutil.copytree(origin, folder / "other.git"))
        theirs, mine = clone(other, folder / "theirs"), clone(origin, folder / "mine")
        lean = folder / "lean"
        # Not a shallow one: a server works out anew what that lacks.
        run(["git", "clone", "--quiet", "--no-tags", origin.as_uri(), str(lean)], folder)
        with served(folder) as url:
            for checkout, name in ((theirs, other), (mine, origin), (lean, origin)):
                git(checkout, "remote", "set-url", "origin", f"{url}/{name.name}")
            for row, points in _measured(size, theirs, mine, lean).items():
                found[row].append(points)
        tags = answer(["git", "tag", "--list", f"{MODEL}@v0.0.{size + 1}"], mine).split()
        expect(tags == [f"{MODEL}@v0.0.{size + 1}"], f"one new version, not {tags}")
    return found


def _measured(size: int, theirs: Path, mine: Path, lean: Path) -> dict[str, Point]:
    listed = [(["git", "ls-remote", "--quiet", "origin"], mine)]
    check = [RUN, "check-promotion", "--base-ref", "main", "--head-ref", "experiment"]
    gate = [RUN, "gate-metrics", "--baseline", "v0.0.1"]
    return {
        CHECK.name: point(size, ours=_always([(check, mine)]), floor=_always(listed)),
        GATE.name: point(size, ours=_always([(gate, mine)]), floor=_always(listed)),
        REGISTER.name: _register(size, theirs, mine, lean),
    }


def _register(size: int, theirs: Path, mine: Path, lean: Path) -> Point:
    def changed(checkout: Path, number: int) -> Path:
        (checkout / "model.bin.dvc").write_text(pointer(size + number), encoding="utf-8")
        git(checkout, "commit", "--quiet", "-am", f"model {number}")
        git(checkout, "push", "--quiet", "origin", "main")
        return checkout

    def pushed(number: int) -> Steps:
        who = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")
        git(lean, *who, "tag", "--annotate", "--message=floor", f"floor{number}")
        push = ["git", "push", "--quiet", "origin", f"refs/tags/floor{number}"]
        return [(["git", "ls-remote", "--quiet", "origin"], lean), (push, lean)]

    ours = [RUN, "gto-register-stage", "--model", MODEL, "--stage", "dev"]
    gto = [str(TOOLS / "gto"), "register", MODEL, "--push"]
    return point(
        size,
        ours=lambda number: [(ours, changed(mine, number + 1))],
        peer=lambda number: [(gto, changed(theirs, number + 1))],
        floor=pushed,
        peer_runs=1,
        limit=_LIMIT,
    )


def _always(steps: Steps) -> Callable[[int], Steps]:
    return lambda _: steps
