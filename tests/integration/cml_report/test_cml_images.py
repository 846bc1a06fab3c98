"""cml-report: the images of a body and DVC's image plots, each shown or named with the reason."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from report_flow import DVC_YAML, PNG, READER, Flow, pictures_in, project

from model_gitops.adapters.git import Git

SVG = b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>\n"
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00/\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"


def put(flow: Flow, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = flow.temporary / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def shown_by(html: str) -> list[str]:
    return re.findall(r'<img\b[^>]*?src="([^"]*)"', html)


def told(text: str) -> str:
    """The report's text without what escapes it."""
    return text.replace("\\", "")


BODY = """\
# Results

![a b](<out/my plot (1).png>) ![t](out/curve.svg "The curve") ![r][chart] ![chart]

[chart]: <out/my chart.webp> "With a title"

| a | b |
|---|---|
| ![cell](out/a%20b.gif) | [![in a link](out/café.jpg)](https://example.com) |

<p align="center"><img alt="html" width="20" src="out/curve.svg"></p>

![data](data:image/png;base64,{png}) ![dvclive](data:image;base64,{png})
![far](https://example.com/x.png) ![entity](out/a&amp;b.png) \\![no](out/none.png) `![no](out/none.png)`

```markdown
![no](out/none.png)
```
"""


def test_images_of_a_body_are_shown_in_each_form(flow: Flow) -> None:
    put(
        flow,
        {
            "out/my plot (1).png": PNG + b"1",
            "out/curve.svg": SVG,
            "out/my chart.webp": WEBP,
            "out/a b.gif": GIF,
            "out/café.jpg": JPEG,
            "out/a&b.png": PNG + b"2",
        },
    )
    data = base64.b64encode(PNG + b"3").decode()
    body = flow.temporary / "report.md"
    body.write_text(BODY.replace("{png}", data), encoding="utf-8")
    assert flow.run(body=str(body), plots="false")["operation"] == "created"
    (text,) = flow.comments()
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    addresses = shown_by(html)
    got = [flow.get(one) if "127.0.0.1" in one else one for one in addresses]
    assert got == [
        *(PNG + b"1", SVG, WEBP, WEBP, GIF, JPEG, SVG, PNG + b"3", PNG + b"3"),
        *("https://example.com/x.png", PNG + b"2"),
    ]
    assert 'title="The curve"' in html
    assert html.count('title="With a title"') == 2
    assert "not shown" not in told(text)
    # Only the spans of the addresses changed.
    assert text.count("![no](out/none.png)") == 3
    assert '<img alt="html" width="20" src="http' in text
    # Again: the same comment.
    assert flow.run(body=str(body), plots="false")["operation"] == "none"


@pytest.mark.parametrize(
    ("markdown", "note"),
    [
        ("![x](missing.png)", "'missing.png' of the body is not shown: there is no such file; if DVC tracks it, run"),
        ("![x][r]\n\n[r]: missing.svg", "'missing.svg' of the body is not shown: there is no such file"),
        ("<img src='missing.webp'>", "'missing.webp' of the body is not shown: there is no such file"),
        ("![x](../../../../etc/passwd)", "is not shown: it is neither in the body's folder nor in the working directory"),
        ("![x](a.pdf)", "'a.pdf' of the body is not shown: it is a PDF; shown are PNG, JPEG, GIF, WebP and SVG"),
        ("![x](a.txt)", "'a.txt' of the body is not shown: it is none of PNG, JPEG, GIF, WebP and SVG"),
        ("![x](lfs.png)", "'lfs.png' of the body is not shown: it is a pointer of Git LFS"),
        ("![x](empty.png)", "'empty.png' of the body is not shown: it is empty"),
        ("![x](.)", "'.' of the body is not shown: there is no such file"),
        ("![x](data:image/png;base64,@@@)", "is not shown: its data can't be decoded"),
        ("![x](cid:a)", "'cid:a' of the body is not shown: no server has it"),
        ("![x]()", "'' of the body is not shown: it has no address"),
        ("<video src=a.pdf></video>", "'a.pdf' of the body is not shown: a comment plays no video"),
    ],
)  # fmt: skip
def test_an_image_that_is_not_shown_is_named_with_the_reason(
    flow: Flow, markdown: str, note: str
) -> None:
    lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"
    put(flow, {"a.pdf": b"%PDF-1.7", "a.txt": b"text", "lfs.png": lfs, "empty.png": b""})
    body = flow.temporary / "report.md"
    body.write_text(f"before {markdown}\n\nafter\n", encoding="utf-8")
    done = flow.run(body=str(body), plots="false")
    (text,) = flow.comments()
    for place in (text, done["summary"], Path(done["report"]).read_text("utf-8")):
        assert note in told(place).replace("&amp;", "&")
        assert re.search(r"before (\*|<em>).*(\*|</em>) \(not shown\)", place)
    assert Git(flow.bare).run("for-each-ref", "refs/heads/model-gitops") == ""


def test_where_pictures_have_no_place_each_is_named(flow: Flow) -> None:
    put(flow, {"p.png": PNG, "q.svg": SVG})
    body = flow.temporary / "report.md"
    body.write_text("![one](p.png)\n\n<p><img alt='two' src='q.svg'></p>\n", encoding="utf-8")
    done = flow.run(token=READER, body=str(body), plots="false")
    assert "*one* (not shown)" in done["summary"]
    assert "<em>two</em> (not shown)" in done["summary"]
    assert "2 plots can't be shown here: the token can't write" in told(done["summary"])
    report = Path(done["report"])
    html = MarkdownIt("commonmark", {"html": True}).render(report.read_text("utf-8"))
    beside = re.findall(r"src=[\"']([^\"']+)[\"']", html)
    assert [(report.parent / name).read_bytes() for name in beside] == [PNG, SVG]


def test_image_plots_of_dvc_are_shown_or_named(flow: Flow) -> None:
    plots = "  - out\n" + "".join(f"  - more/{name}\n" for name in ("b.webp", "c.pdf", "gone.png"))
    files = project(0.1)
    files["dvc.yaml"] = DVC_YAML.split("plots:")[0] + "plots:\n" + plots
    files["out/a.svg"] = SVG.decode()
    files["out/d.svg"] = "no picture\n"
    for name in ("more/b.webp", "more/c.pdf"):
        files[name] = "x\n"
    for name, content in (("out/e.gif", GIF), ("out/f.jpeg", JPEG), ("out/g.png", PNG)):
        path = flow.git.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    flow.commit("better", files)
    flow.on_pull_request()
    flow.run()
    (text,) = flow.comments()
    assert [flow.get(one) for one in pictures_in(text)][:4] == [SVG, GIF, JPEG, PNG]
    said = told(text)
    reads = "DVC takes data from JSON, YAML, CSV and TSV files, and pictures from files that end in .gif,"
    assert "the plot 'out/d.svg (candidate)' is not shown: it is none of PNG, JPEG, GIF," in said
    assert f"the plot 'more/b.webp' has nothing to show: {reads}" in said
    assert f"the plot 'more/c.pdf' has nothing to show: {reads}" in said
    assert "the plot 'more/gone.png' has nothing to show: its data is neither in Git nor" in said


def test_a_plot_that_only_the_base_has_is_named(flow: Flow) -> None:
    plots = DVC_YAML.split("plots:")[0] + "plots:\n  - out/a.svg\n"
    base = flow.commit("main", {**project(0.05), "dvc.yaml": plots, "out/a.svg": SVG.decode()})
    flow.git.run("switch", "--quiet", "better")
    flow.git.run("reset", "--quiet", "--hard", base)
    (flow.git.directory / "out/a.svg").unlink()
    flow.run(base="main")
    (text,) = flow.comments()
    assert [flow.get(one) for one in pictures_in(text)] == [SVG]
    said = told(text)
    assert "the plot 'out/a.svg' lacks candidate: its data is neither in Git nor in the DVC" in said
