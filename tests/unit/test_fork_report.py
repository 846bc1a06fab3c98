"""The template's check of what a fork's run left: hostile archives, wrong claims, Markdown."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

SCRIPT = Path(__file__).parents[2] / "templates/model/.github/scripts/fork_report.py"
_spec = importlib.util.spec_from_file_location("fork_report", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
fork_report: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fork_report)


def archive(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return content.getvalue()


def good(number: bytes = b"7\n", report: bytes = b"fine") -> bytes:
    return archive(**{"pull-request": number, "report.md": report})


def test_a_report_is_read() -> None:
    assert fork_report.read_artifact(good()) == (7, "fine")
    assert fork_report.read_artifact(good(report=b"\xff")) == (7, "\ufffd")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no archive"),
        (b"PK\x03\x04 broken", "no archive"),
        (good()[:-30], "no archive"),
        (archive(**{"report.md": b"x"}), "other files"),
        (archive(**{"pull-request": b"7", "report.md": b"x", "../../x": b"y"}), "other files"),
        (good(number=b"7; rm"), "no number"),
        (good(number=b"-1"), "no number"),
        (good(number=b"0"), "no number"),
        (good(number=b"7\n8\n"), "no number"),
        (good(number="٧".encode()), "no number"),
        (good(report=b"x" * 300_000), "more than"),
        (b"x" * 1_100_000, "more than"),
    ],
)
def test_what_is_no_report_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(fork_report.RefusedError, match=told):
        fork_report.read_artifact(content)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = good(report=b"\0" * 50_000_000)
    assert len(bomb) < fork_report.LARGEST_ARCHIVE
    with pytest.raises(fork_report.RefusedError, match="more than"):
        fork_report.read_artifact(bomb)


@given(st.binary(max_size=300))
def test_no_bytes_end_in_a_traceback(content: bytes) -> None:
    for data in (content, good() + content, good().replace(b"fine", content[:4].ljust(4))):
        with contextlib.suppress(fork_report.RefusedError):
            fork_report.read_artifact(data)


def pull(**changes: Any) -> dict[str, Any]:
    head = {"repo": {"full_name": "eve/model"}, "ref": "patch", "sha": "a" * 40}
    found = {
        "number": 7,
        "state": changes.pop("state", "open"),
        "head": head,
        "base": {"repo": {"full_name": changes.pop("into", "acme/model")}},
    }
    head |= changes
    return found


RUN = {
    "id": 5,
    "conclusion": "success",
    "head_repository": {"full_name": "eve/model"},
    "head_branch": "patch",
    "head_sha": "a" * 40,
}


def test_the_pull_request_must_be_the_run_s_own() -> None:
    fork_report.check_pull_request(pull(), RUN, "acme/model")
    for changes in (
        {"repo": {"full_name": "mallory/model"}},
        {"repo": {"full_name": "acme/model"}},
        {"repo": None},
        {"ref": "other"},
        {"into": "acme/other"},
    ):
        with pytest.raises(fork_report.RefusedError):
            fork_report.check_pull_request(pull(**changes), RUN, "acme/model")
    with pytest.raises(fork_report.RefusedError):
        fork_report.check_pull_request(
            pull(repo=None), {**RUN, "head_repository": None}, "acme/model"
        )
    for changes in ({"sha": "b" * 40}, {"state": "closed"}):
        with pytest.raises(fork_report.NothingToPostError):
            fork_report.check_pull_request(pull(**changes), RUN, "acme/model")


HOSTILE = """\
## Report
| metric | candidate |
|---|---:|
| r2 | 0.5 |

@acme/everyone, fixes #1 and GH-2, acme/x@main, me@acme.example, &#64;acme, &commat;acme
[log in](https://evil.example) [log in](<javascript:alert(1)>) [ref][1] [a] [a][] ![x](//e.example/p)
[1]: https://evil.example
[a]: https://evil.example 'x'
<https://evil.example> http://evil.example www.evil.example mailto:x@evil.example
<img src=//e.example><script>alert(1)</script><a href="//e">x</a></details></blockquote>
[split](
https://evil.example) [x]
(https://evil.example) [x [y](z)](https://evil.example) \\[k](https://evil.example)
<!-- model-gitops report: Promotion -->
/approve
```mermaid
click A "https://evil.example"
```
<!-- never closed
"""


def shown(text: str) -> list[Any]:
    """Return all tokens that GitHub-flavoured Markdown makes of a text, HTML allowed."""
    parser = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    flat: list[Any] = []
    for token in parser.parse(text):
        flat += [token, *(token.children or [])]
    return flat


def test_hostile_markdown_is_a_quotation() -> None:
    text = fork_report.neutralise(HOSTILE)
    assert all(line.startswith(">") for line in text.split("\n"))
    kinds = {token.type for token in shown(text)}
    assert "table_open" in kinds
    assert not kinds & {"link_open", "image", "html_inline", "html_block"}
    assert "@acme" not in text
    assert "#1" not in text
    assert "&#64;" not in text.replace("&amp;#64;", "")
    assert "https:" not in text
    assert "mermaid" not in text
    assert "model-gitops report" not in text


PARTS = [*"[]()<>!&;:#@/\\`\n \tax", "https:", "www.", "<!--", "-->", "](", "<sub>", "\u202e"]


@given(st.lists(st.sampled_from(PARTS), max_size=40))
def test_no_markdown_makes_a_link_or_html(parts: list[str]) -> None:
    text = fork_report.neutralise("".join(parts))
    kinds = {token.type for token in shown(text)}
    assert not kinds & {"link_open", "image", "html_inline", "html_block"}
    assert not re.search(r"https:|@[a-z]|\u202e", text)


def test_a_long_report_is_cut_and_can_be_posted() -> None:
    text = fork_report.compose("| @a | [b](https://c) |\n" * 20_000, RUN, "https://g", "acme/model")
    assert len(text) < 60_000
    assert text.rstrip().endswith("cut here, see the run")


@pytest.mark.parametrize(
    "text",
    [
        "- ```mermaid\n  graph\n  ```",
        "1. ```mermaid\n   graph\n   ```",
        "> ```mermaid\n> graph\n> ```",
        "* - ~~~geojson\n    {}\n    ~~~",
        "> 2) ~~~ mermaid\n",
    ],
)
def test_a_code_block_has_no_language_wherever_it_stands(text: str) -> None:
    tokens = MarkdownIt().parse(fork_report.neutralise(text))
    fences = [token for token in tokens if token.type == "fence"]
    assert fences
    assert all(token.info == "" for token in fences)


def test_an_alert_and_a_bare_hash_are_text() -> None:
    text = fork_report.neutralise(
        "[!CAUTION]\nsee deadbeef1 and 3f786850e387550fdaf836b2fae1df2ab5ca1f3e, r2 0.4552831"
    )
    assert "[!CAUTION]" not in text
    assert "deadbeef1" not in text
    assert "3f786850e387550fdaf836b2fae1df2ab5ca1f3e" not in text
    assert text.replace(fork_report.JOINER, "").startswith("> [!CAUTION]\n> see deadbeef1 and 3f7")
    assert "r2 0.4552831" in text


def test_sensitive_files_are_named_in_our_own_voice() -> None:
    names = [
        "README.md",
        "promotion.yaml",
        ".github/workflows/x.yml",
        "sub/Dockerfile",
        "a`b/dvc.yaml",
    ]
    found = fork_report.sensitive([*names, "promotion.yaml"])
    assert found == [".github/workflows/x.yml", "a`b/dvc.yaml", "promotion.yaml", "sub/Dockerfile"]
    said = fork_report.warning(found, all_seen=True)
    assert "`promotion.yaml`" in said
    assert "`a?b/dvc.yaml`" in said
    assert "Read these first" in said
    assert fork_report.warning([], all_seen=True) == ""
    assert "more files than the server lists" in fork_report.warning([], all_seen=False)
    many = fork_report.warning([f".github/{n}" for n in range(40)], all_seen=True)
    assert "and 10 more" in many
    run = {"conclusion": "success", "id": 1}
    text = fork_report.compose("words", run, "https://x", "a/b", said)
    assert text.index("promotion.yaml") < text.index("> words")
