"""gto-register-stage beside GTO."""

from __future__ import annotations

from pathlib import Path

from benchmarks.repositories import WHO, clone, data, git, imported
from benchmarks.timing import RUN, TOOLS, Result, answer, compare, expect

# GTO needs minutes; what takes longer is reported as "more than".
LIMIT = 20.0


def measure(work: Path) -> list[Result]:
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
