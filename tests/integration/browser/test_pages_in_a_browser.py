"""The pages that a person looks at, in a real browser: in light and dark, wide and as on a telephone."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from model_gitops.core.flow import gate
from model_gitops.core.flow.promotion import Rule
from model_gitops.core.report.comparison import Column, compare_metrics, compare_params
from model_gitops.core.report.page import Facts, Report
from model_gitops.core.report.pictures import Picture
from model_gitops.core.report.promotion import Opening
from model_gitops_local import demo_page
from model_gitops_local.engine import apt_install
from model_gitops_local.forge import pages

LOOK = Path(__file__).with_name("look.js")
NAMES = ("chromium", "chromium-browser", "google-chrome")
DIGEST = "sha256:" + "a1" * 32


@pytest.fixture(scope="module")
def browser() -> str:
    """Chromium: this machine's, else the distribution's, which takes root to install."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and not os.environ.get("CI") and (os.geteuid() or not shutil.which("apt-get")):
        pytest.skip("there is no Chromium here: apt-get install chromium")
    if found is None:
        apt_install(["chromium", "fonts-dejavu-core"])
        found = shutil.which("chromium")
    assert found
    return found


def png(path: Path) -> str:
    """Write a small picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    rows = (b"\0" + b"\x33\x66\xcc" * 640) * 480
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 640, 480, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path.name


def result() -> dict[str, Any]:
    """What `Demo.finish` finds, in small."""

    def hop(title: str, outcome: str, **more: Any) -> dict[str, Any]:
        runs = [{"workflow": "promote.yml", "seconds": 41.2, "log": "runs/1.log"}]
        plain = {"said": "", "report": "", "pictures": [], "commit": "", "diff": ""}
        return {"title": title, "outcome": outcome, "seconds": 83.0, "runs": runs, **plain, **more}

    shown = {
        "report": "reports/1.html",
        "pictures": [{"title": "Learning curve", "file": "reports/1.assets/a.png"}],
        "commit": "b75b469ae5a67df3055d229d5e6cf6a871584651",
        "diff": f"Deploy it\n\n-    newTag: none\n+    newTag: {'c0ffee' * 20}\n",
    }
    environment = {
        "version": "v0.0.1",
        "metrics": {"r2": 0.455278, "rmse": 53.7},
        "image": f"registry.example/acme/diabetes:t@{DIGEST}",
        "digest": DIGEST,
        "deploy_commit": "b75b469ae5a67df3055d229d5e6cf6a871584651",
    }
    return {
        "seconds": 372,
        "environments": dict.fromkeys(("dev", "staging", "production"), environment),
        "refused": [{"branch": "experiment/few", "reason": f"r2 is worse {'very' * 40}"}],
        "hops": [
            hop("Experiment: a better one (experiment/more-epochs)", "registered"),
            hop("main → staging", "deployed", said="staging now runs v0.0.1, r2 0.455", **shown),
            hop("A rollback of dev", "rolled back", commit="e7b83f9b326f", diff="+ back"),
            hop("experiment/few → main", "refused", said="<script>r2</script> is worse"),
        ],
    }


def drift() -> str:
    """What the template's monitoring shows of two weeks."""
    path = Path(__file__).parents[3] / "templates/model/monitor/report.py"
    spec = importlib.util.spec_from_file_location("drift_report", path)
    assert spec
    assert spec.loader
    written = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(written)

    def column(effect: float, drifted: bool) -> dict[str, Any]:
        test = {"test": "ks", "p": 0.1, "adjusted": 0.2, "effect": effect, "before": 1.5, "now": 2}
        return {"drift": drifted, "tests": [{**test, "drift": drifted}]}

    performance = {"metric": "rmse", "rows": 60, "value": 71.2, "reference": 55.1}
    schema = {"missing": ["s6"], "new": ["<b>new</b>"], "type": {}, "unseen": {"sex": 0.05}}
    windows = [
        {
            "window": f"2026-W{number}", "rows": 412, "labelled": 60, "other_versions": 7, "drift": bad,
            "schema": schema, "performance": {**performance, "interval": [2.0, 30.5], "drift": bad},
            "columns": {
                "bmi": column(1.0 if bad else 0.04, bad), "a" * 60: column(0.3, False),
                "s6": {"drift": True, "tests": []},
            },
        }
        for number, bad in ((47, False), (48, True))
    ]  # fmt: skip
    about = {"version": "v0.0.1", "commit": "c" * 40, "hash": "h", "rows": 353, "predictions": 89}
    return str(written.html({"windows": windows, "reference": about, "collected": {"lines": 900}}))


def lineage() -> dict[str, Any]:
    states = ("verified", "broken", "pending", "unknown")
    ends = ("data", "model", "source commit", "version", "image")
    links = [
        {"from": one, "to": other, "state": state, "from_says": "x", "to_says": "y"}
        for one, other, state in zip(ends[:-1], ends[1:], states, strict=True)
    ]
    return {"subject": "production", "model": "diabetes", "links": links, "version": {"name": "v1"}}


def report(markdown_picture: str) -> str:
    """A report of a promotion, as cml-report writes it."""
    verdict = gate.judge(Rule("eval/metrics.json", "r2", "higher"), 0.46, 0.45)
    opening = Opening(
        environment="staging", tests="success", gate="failure",
        gate_table=gate.verdict_table([verdict], "staging v0.0.1"), status="success",
        comparison="| | staging now | candidate |\n|---|---|---|\n| version | v0.0.1 | v0.0.2 |\n"
        f"| model | `{'ab' * 16}` | `{'cd' * 16}` |\n",
        build="success", image=f"registry.example/acme/diabetes:{'f' * 40}@{DIGEST}",
    )  # fmt: skip
    columns = [
        Column("staging v0.0.1", {("eval/metrics.json", "r2"): 0.46, ("eval/metrics.json", "mae"): 4}),
        Column("candidate", {("eval/metrics.json", "r2"): 0.45, ("eval/metrics.json", "mae"): 3}),
    ]  # fmt: skip
    compared = compare_metrics(columns, lambda _: None)
    params = compare_params(
        [Column("staging", {("p", "x"): 1}), Column("candidate", {("p", "x"): 2})]
    )
    joined = opening.table(compared, "staging v0.0.1")
    assert joined.metrics
    facts = Facts(
        "Promotion",
        environment="staging",
        verdict=opening.verdict,
        reference="staging v0.0.1",
        notes=["a note " * 30],
    )
    made = Report(
        facts,
        replace(compared, table=""),
        params,
        [Picture("Curve", markdown_picture)],
        opening=opening.text(joined),
    )
    return made.write(lambda one: f"1.assets/{one.file}")[0]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's page, a report's page, and one that is wrong in every way that is looked for."""
    folder = tmp_path_factory.mktemp("site")
    picture = png(folder / "reports" / "1.assets" / "a.png")
    (folder / "runs").mkdir()
    (folder / "runs" / "1.log").write_text("log\n", "utf-8")
    (folder / "index.html").write_bytes(demo_page.html(result(), lineage()))
    shown = pages.render(report(picture))
    (folder / "reports" / "1.html").write_bytes(
        pages.page("1", f"<article><div>{shown}</div></article>")
    )
    (folder / "drift.html").write_text(drift(), "utf-8")
    (folder / "bad.html").write_text(
        '<body style="background:#fff"><h1>Bad</h1><h3>Skips</h3><p style="color:#bbb">faint</p>'
        '<img src="gone.png"><a href="nowhere.html"></a><pre style="width:900px">wide</pre>'
    )
    return folder


def look(browser: str, site: Path, *, dark: bool) -> dict[str, Any]:
    """Open each page in a frame of 400 and one of 1200 pixels, and return what there is to see."""
    frames = "".join(
        f'<iframe id="{name}-{width}" src="{place}" style="width:{width}px;height:900px"></iframe>'
        for name, place in (
            ("demo", "index.html"),
            ("report", "reports/1.html"),
            ("drift", "drift.html"),
            ("bad", "bad.html"),
        )
        for width in (400, 1200)
    )
    harness = site / "look.html"
    harness.write_text(
        f"<!doctype html><script>{LOOK.read_text('utf-8')}</script>{frames}<pre id=found></pre>"
    )
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", "--allow-file-access-from-files", "--disable-background-networking",
            f"--user-data-dir={site / f'profile-{dark}'}", "--virtual-time-budget=5000",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--dump-dom", harness.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    written = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert written, (done.stdout[-2000:], done.stderr[-2000:])
    assert written[1], done.stderr[-2000:]
    return dict(json.loads(unescape(written[1])))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_person_sees_all_of_the_pages(browser: str, site: Path, dark: bool) -> None:
    found = look(browser, site, dark=dark)
    for name, images in (("demo", 1), ("report", 1), ("drift", 0)):
        for width in (400, 1200):
            seen = found[f"{name}-{width}"]
            where = f"{name}, {width} px"
            assert seen["dark"] is dark, where
            assert (seen["images"], seen["broken"]) == (images, []), where
            assert seen["tooWide"] <= 0, where
            assert seen["faint"] == [], where
            assert seen["unnamed"] == 0, where
            assert seen["elsewhere"] == [], where
            levels = seen["headings"]
            steps = [after - before for before, after in pairwise(levels)]
            assert all(step <= 1 for step in steps), (where, levels)
    demo, told = found["demo-400"], found["report-1200"]
    for text in (
        "What runs now", "1. Experiment: a better one", "main → staging", "1 min 23 s", "refused",
        "staging now runs v0.0.1", "<script>r2</script> is worse", "log of promote.yml (41 s)",
        "Learning curve", "newTag: none", "Links: 1 verified, 1 unknown, 1 pending, 1 broken",
        "Now do it in your repository", "init --name churn --owner newco --to churn", "adopt", "doctor",
    ):  # fmt: skip
        assert text in demo["text"], text
    links = [link for link in demo["links"] if not (site / link).exists()]
    assert links == []
    for text in ("Promotion to staging: refused: r2 is worse", "mae", "2 changed, not judged"):
        assert text in told["text"], text
    for text in (
        "1.00 ●",
        "New columns: <b>new</b>",
        "Missing columns: s6",
        "● worse",
        "+2 to +30.5",
    ):
        assert text in found["drift-400"]["text"], text
    # The checks themselves see what is wrong.
    bad = found["bad-400"]
    assert bad["broken"]
    assert bad["tooWide"] > 0
    assert [text.partition(": ")[2] for text in bad["faint"]] == ["faint"]
    assert bad["unnamed"] == 2
    assert bad["headings"] == [1, 3]
