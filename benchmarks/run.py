"""Time each action as a process, beside the plain tools that do the same.

usage: run.sh dev python benchmarks/run.py [NAME…]   (register, start-up, pull, report, bump, image)
Writes benchmarks/results.json when all run, and a Markdown table to stdout.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
RUN = str(ROOT / "scripts/run.sh")
TOOLS = Path(sys.executable).parent
# GTO needs minutes; what takes longer is reported as "more than".
LIMIT = 20.0
Command = list[str]


@dataclass
class Result:
    """One comparison; times are medians in seconds."""

    name: str
    raw_tool: str
    raw: float
    ours: float
    raw_runs: int
    our_runs: int
    raw_cut_off: bool = False


def run(command: Command, cwd: Path, input: bytes | None = None, limit: float = 600) -> bool:
    """Run `command`; False if it took longer than `limit` seconds. A failure ends the benchmark."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "MODEL_GITOPS_"))}
    try:
        done = subprocess.run(
            command, cwd=cwd, input=input, env=kept, capture_output=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode:
        sys.exit(f"{command} failed:\n{(done.stdout + done.stderr).decode()[-2000:]}")
    return True


def answer(command: Command, cwd: Path) -> str:
    """Return what `command` says."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


def expect(held: bool, what: str) -> None:
    """End the benchmark if the actions did not do the work that was timed."""
    if not held:
        sys.exit(f"expected {what}")


def git(cwd: Path, *args: str) -> None:
    """Run git in `cwd`."""
    run(["git", *args], cwd)


def compare(
    name: str,
    raw_tool: str,
    raw: Callable[[int], list[tuple[Command, Path]]],
    ours: Callable[[int], tuple[Command, Path]],
    runs: int = 3,
    raw_runs: int = 0,
    limit: float = 600,
) -> Result:
    """Time both in turn (A B A B). The callables prepare a run, untimed, and return its commands."""
    times: tuple[list[float], list[float]] = ([], [])
    cut_off = False
    for number in range(runs):
        for side, prepare in ((0, raw), (1, lambda n: [ours(n)])):
            if side == 0 and number >= (raw_runs or runs):
                continue
            commands = prepare(number)
            start = time.perf_counter()
            finished = [run(command, cwd, limit=limit) for command, cwd in commands]
            times[side].append(time.perf_counter() - start)
            cut_off |= not all(finished)
    result = Result(
        name, raw_tool, median(times[0]), median(times[1]), len(times[0]), len(times[1]), cut_off
    )
    print(f"{name}: raw {result.raw:.2f} s, ours {result.ours:.2f} s", file=sys.stderr)
    return result


def clone(origin: Path, to: Path) -> Path:
    """Clone `origin`, with an author."""
    run(["git", "clone", "--quiet", str(origin), str(to)], origin)
    git(to, "config", "user.name", "bench")
    git(to, "config", "user.email", "bench@example.com")
    return to


def imported(stream: str, to: Path) -> Path:
    """Make a bare repository from a fast-import stream."""
    git(to.parent, "init", "--quiet", "--bare", "--initial-branch=main", str(to))
    run(["git", "fast-import", "--quiet"], to, stream.encode())
    return to


def data(text: str) -> str:
    """Return `text` as fast-import's data."""
    return f"data {len(text.encode())}\n{text}\n"


WHO = "bench <bench@example.com>"


def start_up(work: Path) -> list[Result]:
    """An action's help against an empty Python."""
    return [
        compare(
            "start-up of an action (`--help`)",
            "`python -c pass`",
            lambda n: [([sys.executable, "-c", "pass"], work)],
            lambda n: ([RUN, "check-promotion", "--help"], work),
            runs=11,
        )
    ]


def project(work: Path, files: dict[str, bytes], add: list[str]) -> Path:
    """Make a DVC project with a local remote and an origin, all pushed; return its checkout."""
    git(work, "init", "--quiet", "--bare", "--initial-branch=main", str(work / "origin.git"))
    checkout = clone(work / "origin.git", work / "project")
    run([str(TOOLS / "dvc"), "init", "--quiet"], checkout)
    remote = [str(TOOLS / "dvc"), "remote", "add", "-d", "store", str(work / "store")]
    run(remote, checkout)
    run([str(TOOLS / "dvc"), "config", "core.analytics", "false"], checkout)
    for name, content in files.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_bytes(content)
    if add:
        run([str(TOOLS / "dvc"), "add", "--quiet", *add], checkout)
        run([str(TOOLS / "dvc"), "push", "--quiet"], checkout)
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "-m", "base")
    git(checkout, "push", "--quiet", "origin", "HEAD:main")
    return checkout


def pull(work: Path) -> list[Result]:
    """A 50 MB model in a project with 1,000 small files; the cache is empty before each run."""
    files = {f"data/{n}.txt": f"row {n}\n".encode() for n in range(1000)}
    files["model.bin"] = random.Random(1).randbytes(50_000_000)
    files["dvc.yaml"] = b"artifacts:\n  diabetes:\n    path: model.bin\n    type: model\n"
    checkout = project(work, files, ["data", "model.bin"])

    def emptied() -> Path:
        for folder in (checkout / ".dvc/cache", checkout / ".dvc/tmp", checkout / "data"):
            shutil.rmtree(folder, ignore_errors=True)
        (checkout / "model.bin").unlink(missing_ok=True)
        return checkout

    def ours(_: int) -> tuple[Command, Path]:
        return [RUN, "dvc-pull-model", "--model", "diabetes"], emptied()

    dvc = str(TOOLS / "dvc")
    results = [
        compare(
            "dvc-pull-model, 50 MB beside 1,000 small files",
            "`dvc pull`",
            lambda n: [([dvc, "pull"], emptied())],
            ours,
            runs=3,
        ),
        compare(
            "dvc-pull-model",
            "`dvc pull model.bin`",
            lambda n: [([dvc, "pull", "model.bin"], emptied())],
            ours,
        ),
    ]
    expect((checkout / "model.bin").read_bytes() == files["model.bin"], "the whole model")
    return results


def report(work: Path) -> list[Result]:
    """The comparison with the target branch, plots included; no token, so nothing is posted."""

    def files(quality: float) -> dict[str, bytes]:
        curve = "\n".join(["epoch,loss", *(f"{n},{80 / (1 + n * quality)}" for n in range(60))])
        return {
            "dvc.yaml": b"metrics: [metrics.json]\nparams: [params.yaml]\n"
            b"plots:\n  - curve.csv: {x: epoch, y: loss}\n",
            "metrics.json": json.dumps({"r2": quality}).encode(),
            "params.yaml": f"epochs: {int(quality * 100)}\n".encode(),
            "curve.csv": curve.encode() + b"\n",
        }

    checkout = project(work, files(0.4), [])
    git(checkout, "switch", "--quiet", "-c", "experiment")
    for name, content in files(0.5).items():
        (checkout / name).write_bytes(content)
    git(checkout, "commit", "--quiet", "-am", "candidate")
    dvc = str(TOOLS / "dvc")
    return [
        compare(
            "cml-report, without posting",
            "`dvc metrics diff`, `params diff` and `plots diff`",
            lambda n: [
                ([dvc, what, "diff", "origin/main"], checkout)
                for what in ("metrics", "params", "plots")
            ],
            lambda n: ([RUN, "cml-report", "--base", "main"], checkout),
        )
    ]


def bump(work: Path) -> list[Result]:
    """A deploy repository with 2,000 commits and 500 overlays."""
    kustomize = shutil.which("kustomize")
    if kustomize is None:
        sys.exit("kustomize is not on PATH")
    text = "images:\n  - name: app\n    newName: ghcr.io/acme/app\n    newTag: v0\n"
    stream = []
    for number in range(2000):
        stream.append(f"commit refs/heads/main\ncommitter {WHO} {1700000000 + number} +0000\n")
        stream.append(data(f"change {number}"))
        changed = range(500) if number == 0 else [number % 500]
        for overlay in changed:
            body = text.replace("v0", f"v0.{number}")
            stream.append(f"M 644 inline overlays/o{overlay}/kustomization.yaml\n{data(body)}")
    deploy = imported("".join(stream), work / "deploy.git")

    def raw(overlay: str, tag: str, push: bool) -> list[tuple[Command, Path]]:
        to = work / "raw"
        shutil.rmtree(to, ignore_errors=True)
        author = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
        edit = [kustomize, "edit", "set", "image", f"app=ghcr.io/acme/app:{tag}"]
        commands = [
            (["git", "clone", "--quiet", deploy.as_uri(), str(to)], work),
            (edit, to / "overlays" / overlay),
        ]
        if not push:
            return [*commands, (["git", "status", "--short"], to)]
        commit = ["git", *author, "commit", "--quiet", "-am", tag]
        return [*commands, (commit, to), (["git", "push", "--quiet"], to)]

    def ours(overlay: str, tag: str) -> tuple[Command, Path]:
        image = f"app=ghcr.io/acme/app:{tag}"
        where = ["--repository", deploy.as_uri(), "--path", f"overlays/{overlay}"]
        return [RUN, "bump-kustomize-tag", *where, "--images", image], work

    plain = "`git clone`, `kustomize edit set image`, "
    results = [
        compare(
            "bump-kustomize-tag, 2,000 commits, 500 overlays",
            plain + "commit, push",
            lambda n: raw("o1", f"raw{n}", True),
            lambda n: ours("o2", f"ours{n}"),
            runs=5,
        ),
        compare(
            "bump-kustomize-tag, no change",
            plain + "`git status`",
            lambda n: raw("o1", "raw4", False),
            lambda n: ours("o2", "ours4"),
            runs=5,
        ),
    ]
    commits = answer(["git", "rev-list", "--count", "main"], deploy).strip()
    expect(commits == "2010", f"2,000 commits and five of each side, not {commits}")
    return results


def register(work: Path) -> list[Result]:
    """A registry of 10,000 tags: 100 models, each with 50 versions and 50 assignments."""
    files = {
        "dvc.yaml": "artifacts:\n  diabetes:\n    path: model.bin\n    type: model\n",
        "model.bin.dvc": f"outs:\n- md5: a{0:031x}\n  size: 1\n  hash: md5\n  path: model.bin\n",
    }
    stream = []
    for number in range(1, 51):  # GTO refuses two versions of one model on one commit
        when = 1700000000 + number
        stream.append(f"commit refs/heads/main\nmark :{number}\ncommitter {WHO} {when} +0000\n")
        stream.append(data(f"model {number}"))
        stream += [f"M 644 inline {name}\n{data(body)}" for name, body in files.items()]
    for model in range(100):
        for number in range(1, 51):
            for tag in (f"m{model}@v0.0.{number}", f"m{model}#dev#{number}"):
                when = 1700000000 + number
                stream.append(f"tag {tag}\nfrom :{number}\ntagger {WHO} {when} +0000\n{data(tag)}")
    origins = [imported("".join(stream), work / f"{side}.git") for side in ("raw", "ours")]
    theirs, mine = (clone(origin, work / origin.stem) for origin in origins)

    def changed(checkout: Path, number: int) -> Path:
        body = files["model.bin.dvc"].replace(f"a{0:031x}", f"a{number + 1:031x}")
        (checkout / "model.bin.dvc").write_text(body, encoding="utf-8")
        git(checkout, "commit", "--quiet", "-am", f"model {number}")
        git(checkout, "push", "--quiet", "origin", "main")
        return checkout

    gto = str(TOOLS / "gto")
    act = [RUN, "gto-register-stage", "--model", "diabetes", "--stage", "dev"]
    results = [
        compare(
            "gto-register-stage, 10,000 tags, new version and stage",
            "`gto register --push` alone",
            lambda n: [([gto, "register", "diabetes", "--push"], changed(theirs, n))],
            lambda n: (act, changed(mine, n)),
            raw_runs=1,
            limit=LIMIT,
        ),
        compare(
            "gto-register-stage, 10,000 tags, no change",
            "`gto show`",
            lambda n: [([gto, "show"], theirs)],
            lambda n: (act, mine),
            raw_runs=1,
            limit=LIMIT,
        ),
    ]
    tags = answer(["git", "tag", "--list", "diabetes*"], origins[1]).split()
    expect(len(tags) == 6, f"three versions and three assignments, not {tags}")
    return results


def image(work: Path) -> list[Result]:
    """The template's image, with a stand-in for the model, from an empty builder and reused.

    The built side is what a runner without a cache does: pull the base image from a registry of this
    machine, apt-get and pip from the network, push. No side is smoke-tested, which would only make the
    built one longer.
    """
    sys.path.insert(0, str(ROOT / "scripts"))
    from model_gitops_local import machine

    checkout = work / "model"
    shutil.copytree(ROOT / "templates/model", checkout, ignore=shutil.ignore_patterns(".venv"))
    (checkout / "models").mkdir()
    before = dict(os.environ)
    try:
        here = machine.start(work / "machine", ())
        os.environ.update(machine.environment(here))
        name = f"{here.registry.address}/acme/diabetes"

        def hop(tag: str) -> tuple[Command, Path]:
            given = ["--image", name, "--tag", tag, "--build-contexts", "model=models"]
            given += ["--build-args", f"BASE_IMAGE={here.base_image}"]
            return [RUN, "build-push-image", *given], checkout

        def cold(number: int) -> list[tuple[Command, Path]]:
            (checkout / "models/diabetes.onnx").write_bytes(random.Random(number).randbytes(50_000))
            run(["docker", "buildx", "prune", "--all", "--force"], work)
            return [hop(f"built{number}")]

        result = compare(
            "build-push-image, the template's image unchanged",
            "the same action, which builds with an empty cache",
            cold,
            lambda n: hop(f"reused{n}"),
        )
        inspect = ["docker", "buildx", "imagetools", "inspect"]
        digests = [
            [
                line
                for line in answer([*inspect, f"{name}:{side}{n}"], work).splitlines()
                if line.startswith("Digest:")
            ]
            for n in range(3)
            for side in ("built", "reused")
        ]
        expect(digests[::2] == digests[1::2], "each reused digest to be the built one's")
        expect(len({str(one) for one in digests}) == 3, "three images that were built")
        return [result]
    finally:
        os.environ.clear()
        os.environ.update(before)
        machine.remove(work / "machine")


BENCHMARKS: dict[str, Callable[[Path], list[Result]]] = {
    "register": register,
    "start-up": start_up,
    "pull": pull,
    "report": report,
    "bump": bump,
    "image": image,
}


def table(results: list[Result]) -> str:
    """Return the results as Markdown; a ratio above 1 means that the action is faster."""
    lines = ["| action | plain tools | plain | action | ratio |", "|---|---|---:|---:|---:|"]
    for one in results:
        more = "> " if one.raw_cut_off else ""
        ratio = f"{more}{one.raw / one.ours:.1f}×"
        raw = f"{more}{one.raw:.2f} s"
        lines.append(f"| {one.name} | {one.raw_tool} | {raw} | {one.ours:.2f} s | {ratio} |")
    return "\n".join(lines)


def main() -> int:
    """Run the benchmarks named on the command line, or all."""
    names = sys.argv[1:] or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        print(f"no such benchmark: {unknown}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for action in ("check-promotion", "dvc-pull-model", "cml-report", "build-push-image"):
        run([RUN, action, "--help"], ROOT)
    for action in ("bump-kustomize-tag", "gto-register-stage"):
        run([RUN, action, "--help"], ROOT)
    results = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            results += BENCHMARKS[name](Path(folder))
    print(table(results))
    if not sys.argv[1:]:
        record = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "cores": os.cpu_count(),
            "machine": "shared; other work may have run at the same time",
            "results": [asdict(one) for one in results],
        }
        text = json.dumps(record, indent=2) + "\n"
        (ROOT / "benchmarks/results.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
