"""A plot is drawn without what only a pointer would show, and looks as Vega-Lite draws it.

A process of its own draws it, which may end or hang: the report is made all the same.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from dvc_render import VegaRenderer
from dvc_render.vega_templates import TEMPLATES

from model_gitops.adapters import compared_project, plots, process, vega
from model_gitops.adapters.plain_report import Matched
from model_gitops.adapters.vega import Vega
from model_gitops.core.report.pictures import Picture

# As text in a plot, it must stay.
ODD = '<path d="" opacity="0"/> & <image>'


def renderer(template: str = "linear", title: str = ODD) -> VegaRenderer:
    points = [
        {"x": number, "y": 10 / (1 + number), "rev": revision, ODD: number}
        for revision in ("candidate", ODD)
        for number in range(9)
    ]
    return VegaRenderer(
        points, "curve.csv", template=template, x="x", y="y", title=title, x_label=ODD,
        revs_with_datapoints=["candidate", ODD],
        anchors_y_definitions=[{"filename": "curve.csv", "field": "y"}],
    )  # fmt: skip


# One of them moves its points by chance.
@pytest.mark.parametrize(
    "template", [one.DEFAULT_NAME for one in TEMPLATES if "jitter" not in one.DEFAULT_NAME]
)
def test_a_picture_is_vega_lites_byte_by_byte(template: str, tmp_path: Path) -> None:
    (picture,), problems = drawn([renderer(template)], tmp_path)
    assert not problems
    assert (tmp_path / picture.file).read_bytes() == of_vega_lite(renderer(template))


def drawn(
    renderers: Sequence[Any], folder: Path, by: Vega | None = None
) -> tuple[list[Picture], list[str]]:
    with by or Vega() as one:
        return plots.draw([*map(Matched, renderers)], folder, candidate="candidate", vega=one)


def of_vega_lite(one: VegaRenderer) -> bytes:
    """Return a plot as it is drawn in this process, whole."""
    return vl_convert.svg_to_png(vl_convert.vegalite_to_svg(one.get_filled_template()), scale=1.5)


def children() -> list[int]:
    """Return the processes that this one started, and has not waited for."""
    listed = Path("/proc/self/task").glob("*/children")
    return [int(one) for file in listed for one in file.read_text().split()]


def broken() -> VegaRenderer:
    one = renderer(title="broken")
    one.template.content = one.template._original_content = {"data": "<DVC_METRIC_DATA>", "mark": 7}
    return one


def test_each_of_several_plots_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    titles = [f"number {number}" for number in range(5)]
    before = children()
    asked = [renderer(title=title) for title in titles]
    pictures, problems = drawn([*asked[:2], broken(), *asked[2:]], tmp_path)
    assert [one.title for one in pictures] == titles
    for one, title in zip(pictures, titles, strict=True):
        assert (tmp_path / one.file).read_bytes() == of_vega_lite(renderer(title=title))
    (problem,) = problems
    assert problem.startswith(
        "the plot 'broken' can't be drawn: Vega-Lite to SVG conversion failed:"
    )
    assert children() == before


def test_a_picture_in_a_plot_is_not_loaded(tmp_path: Path) -> None:
    file = tmp_path / "secret.png"
    file.write_bytes(vl_convert.svg_to_png('<svg xmlns="http://www.w3.org/2000/svg"/>'))
    # What `plots` refuses first, by the name of the key.
    mark = {"type": "image", "url": file.as_uri(), "width": 9, "height": 9}
    with Vega() as one:
        (answer,) = one.draw([{"data": {"values": [{"x": 1}]}, "mark": mark}])
    assert str(answer) == "it shows a picture from elsewhere, which is not allowed"


@pytest.mark.parametrize("side", [20_000, 200_000, 1e30])
def test_a_picture_that_no_memory_holds_is_not_painted(side: float) -> None:
    huge = {"data": {"values": [{"x": 1}]}, "mark": "point", "width": side, "height": side}
    with Vega() as one:
        (answer,) = one.draw([huge])
    assert str(answer) == "it has more than 50 million pixels"


# What `plots` refuses first, by the name of the key.
@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}", "file:{}", "FILE://{}"])
def test_a_file_of_this_machine_is_not_read(form: str, tmp_path: Path) -> None:
    file = tmp_path / "secret.json"
    file.write_text('[{"x": "secret"}]')
    shown = {"x": {"field": "x", "type": "nominal"}}
    data = {"url": form.format(file)}
    with Vega() as one:
        (answer,) = one.draw([{"data": data, "mark": "point", "encoding": shown}])
    assert isinstance(answer, ValueError)
    assert str(answer).startswith("Vega-Lite to SVG conversion failed:")


def test_no_address_is_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Vega() as one:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        map_of = {"url": address, "format": {"type": "topojson", "feature": "land"}}
        font = {"type": "text", "text": "a", "font": f"url({address})"}
        found = {"lookup": "x", "from": {"data": {"url": address}, "key": "x", "fields": ["y"]}}
        values = {"values": [{"x": 1}]}
        answers = list(
            one.draw(
                [
                    {"data": {"url": address}, "mark": "point"},
                    {"data": map_of, "mark": "geoshape"},
                    {"data": values, "transform": [found], "mark": "point"},
                    {"data": values, "mark": font},
                    {"data": values, "mark": {"type": "bar", "fill": f"url({address}#a)"}},
                ]
            )
        )
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()
    assert [type(one) for one in answers] == [*[ValueError] * 3, *[bytes] * 2]


def test_what_vega_says_of_a_plot_is_no_line_of_the_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    odd = {"data": {"values": [{"x": 1}]}, "mark": {"type": "bar", "fill": "red\n::error::told"}}
    with Vega() as one:
        (png,) = one.draw([odd])
    assert isinstance(png, bytes)
    assert not any(capfd.readouterr())


def test_a_process_that_is_killed_loses_one_plot(tmp_path: Path) -> None:
    before = children()
    with Vega() as one:
        one.begin()
        (child,) = set(children()) - set(before)
        os.kill(child, signal.SIGKILL)
        pictures, problems = drawn([renderer(title="a"), renderer(title="b")], tmp_path, one)
    assert problems == ["the plot 'a' can't be drawn: its process ended with signal 9 (SIGKILL)"]
    (picture,) = pictures
    assert (tmp_path / picture.file).read_bytes() == of_vega_lite(renderer(title="b"))
    assert children() == before


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vega]:
    """Give a Vega whose process hangs; it must be gone at the end."""
    monkeypatch.setattr(vega, "PATIENCE", 1.0)
    monkeypatch.setattr(process, "_GRACE_SECONDS", 0.5)
    before = children()
    with Vega() as one:
        one.begin()
        (child,) = set(children()) - set(before)
        os.kill(child, signal.SIGSTOP)
        yield one
    assert children() == before


def test_a_process_that_hangs_is_stopped(tmp_path: Path, hanging: Vega) -> None:
    pictures, problems = drawn([renderer(title="a")], tmp_path, hanging)
    assert problems == ["the plot 'a' can't be drawn: its process said nothing for 1 seconds"]
    assert not pictures


def test_a_line_that_nobody_takes_is_not_waited_for(tmp_path: Path, hanging: Vega) -> None:
    large = renderer(title="large")
    large.datapoints[0]["text"] = "x" * 1_000_000
    _, problems = drawn([large], tmp_path, hanging)
    assert problems == ["the plot 'large' can't be drawn: its process said nothing for 1 seconds"]


def test_plots_that_end_their_process_again_and_again_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"open({str(tmp_path / 'starts')!r}, 'a').write('.')\ninput()\nraise SystemExit(7)\n"
    )
    monkeypatch.setattr(vega.vega_program, "__file__", str(program))
    _, problems = drawn([renderer(title=str(number)) for number in range(5)], tmp_path / "out")
    assert [problem.partition(": ")[2] for problem in problems] == [
        *["its process ended with status 7"] * 3,
        *["3 plots before it ended their process"] * 2,
    ]
    assert (tmp_path / "starts").read_text() == "..."


def test_what_draws_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODEL_GITOPS_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_OWN_PASSWORD", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "hidden")
    before = children()
    with Vega() as one:
        one.begin()
        (child,) = set(children()) - set(before)
        variables = Path(f"/proc/{child}/environ").read_bytes()
        assert drawn([renderer()], tmp_path, one)[0]
    assert b"HOME=" in variables and b"hidden" not in variables


@pytest.mark.parametrize(
    ("text", "started"), [("metrics: [m.json]\n", 0), ("plots: [curve.csv]\n", 1), (None, 0)]
)
def test_a_process_starts_ahead_only_where_plots_are_likely(
    text: str | None, started: int, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "dvc.yaml").write_text(text)
    before = children()
    with Vega() as one:
        compared_project.foresee_plots(tmp_path, one)
        compared_project.foresee_plots(tmp_path, one)
        assert len(set(children()) - set(before)) == started
    assert children() == before
