"""What a deployment sets, and how its commit and pull request say so."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.location import is_slug
from model_gitops.core.deploy.trailers import LONGEST_TRAILER, Trailers, read_trailers
from model_gitops.core.image import names
from model_gitops.core.line import shortened
from model_gitops.core.markdown import code, escape
from model_gitops.errors import InputError

_EXAMPLE = "images: diabetes=ghcr.io/acme/diabetes:v1.2.3@sha256:…"
_LONGEST_SUBJECT = 200
# A description may have 65,536 characters, and says more than this.
_LONGEST_DECIDED = 20_000
# The branches of our pull requests.
OUR_BRANCHES = "model-gitops/bump-"
# What decides something when a commit is read again, by lowercase key.
_DECIDING = frozenset(
    [
        "model",
        "model-version",
        "model-hash",
        "model-sha256",
        "model-artifact",
        "source-repository",
        "source-commit",
        "image-digest",
        "image-fingerprint",
        "rollback",
        "rollback-from",
        "rollback-version",
        "rollback-by",
        "rollback-reason",
        "rollback-run",
        "deploy-run",
    ]
)


# --- inputs --------------------------------------------------------------------------------------


def parse_images(lines: Iterable[str]) -> tuple[Image, ...]:
    """Parse `name=newname:tag@digest`, where parts may be left out. Raises InputError.

    The other forms of `kustomize edit set image` do too: `name:tag@digest`, and `*` for a part that
    stays.
    """
    found: dict[str, Image] = {}
    for line in lines:
        # A space that is none (U+00A0, …) makes another name, and is refused as such.
        name, equals, reference = (part.strip(" \t") for part in line.partition("="))
        if not equals and names.is_name(names.split_reference(name)[0]):
            whole = name
            name = names.split_reference(whole)[0]
            reference = whole.removeprefix(name)
        if not name or not reference:
            raise InputError.of("images", line, "it is not `name=newname:tag@digest`", fix=_EXAMPLE)
        image = _parse_reference(name, reference, line)
        if image == Image(name):
            problem = "it leaves each part as it is, and sets nothing"
            raise InputError.of("images", line, problem, fix=_EXAMPLE)
        if name in found:
            problem = f"{name} is given twice"
            raise InputError.of("images", line, problem, fix="leave one line out")
        found[name] = image
    if not found:
        raise InputError("input `images` is empty: there is nothing to set", fix=_EXAMPLE)
    return tuple(found.values())


def _parse_reference(name: str, reference: str, line: str) -> Image:
    head, tag, digest = names.split_reference(reference)
    has_tag = reference.partition("@")[0].removeprefix(head).startswith(":")
    if digest == "*" and tag not in ("", "*"):
        problem = f"the digest that is there is not the one of tag {tag}"
        fix = f"images: {name}=:{tag}@sha256:…, or without `@*`"
        raise InputError.of("images", line, problem, fix=fix)
    if "@" in reference and digest != "*" and not names.is_digest(digest):
        problem = "a digest is `sha256:` and 64 lowercase hex digits"
        raise InputError.of("images", line, problem, fix=_EXAMPLE)
    try:
        new_name = names.check_name(head) if head not in ("", "*") else ""
        tag = names.check_tag(tag) if has_tag and tag != "*" else ""
    except InputError as error:
        problem = error.message.partition(": ")[2]
        raise InputError.of("images", line, problem, fix=_EXAMPLE) from error
    return Image(name, new_name, tag, "" if digest == "*" else digest)


# --- what people read --------------------------------------------------------------------------------


def subject(message: str, wanted: Sequence[Image], path: str, trailers: Trailers) -> str:
    """Return the first line of the commit and the title of the pull request."""
    if message.strip():
        return _one_line(message.strip().splitlines()[0])
    known = {key.lower(): value for key, value in trailers}
    model, _, version = known.get("model", "").partition("@")
    version = version or known.get("model-version", "")
    if model:
        deployed = f"{model} {version}".strip()
        return _one_line(f"Deploy {deployed} to {PurePosixPath(path).name or 'the cluster'}")
    names = ", ".join(image.name for image in wanted)
    tag = f" to {wanted[0].tag}" if len(wanted) == 1 and wanted[0].tag else ""
    return _one_line(f"Bump {names}{tag} in {path}")


def commit_message(first_line: str, message: str, trailers: Trailers) -> str:
    """Return the whole commit message; the trailers are its last paragraph.

    A line of the text that would be read as one of ours (`Rollback: true`) is set in by a space.
    """
    body = "\n".join(message.strip().splitlines()[1:]).strip()
    text = "\n\n".join(part for part in (first_line, body) if part)
    lines = (
        f" {line}" if _DECIDING.intersection(read_trailers(line)) else line
        for line in text.split("\n")
    )
    block = "\n".join(f"{key}: {value}" for key, value in trailers)
    return "\n\n".join(part for part in ("\n".join(lines), block) if part) + "\n"


def may_propose(branch: str, path: str) -> bool:
    """Whether `branch` may be one of ours into folder `path`, of whichever images."""
    return branch.startswith(f"{OUR_BRANCHES}{_slug(path)}")


def branch_name(path: str, wanted: Sequence[Image], base: str, purpose: str = "") -> str:
    """Return the branch of the pull request: the same for the same images, folder, base and purpose."""
    names = sorted(image.name for image in wanted)
    key = "\0".join((base, path, *names, *([purpose] if purpose else [])))
    slug = _slug("-".join((path, *([purpose] if purpose else []), *names)))
    return f"{OUR_BRANCHES}{slug}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def changes_table(before: Sequence[Image], after: Sequence[Image]) -> str:
    """Return the Markdown table of what changes."""
    rows = ["| image | from | to |", "|---|---|---|"]
    rows += [
        f"| {code(old.name, longest=LONGEST_TRAILER)} | {code(old.reference, longest=LONGEST_TRAILER)} | {code(new.reference, longest=LONGEST_TRAILER)} |"
        for old, new in zip(before, after, strict=True)
    ]
    return "\n".join(rows)


def summary(
    path: str, operation: str, where: str, table: str, warnings: Iterable[tuple[str, str]]
) -> str:
    """Return the Markdown of a step's summary. `where` is a pull request's address, or a commit.

    `warnings` are problems with their fixes.
    """
    shown = f"[pull request]({where})" if "/" in where else f"`{where[:12]}`"
    told = ""
    for problem, fix in warnings:
        lines = "\n".join(f"    {line}" for line in fix.splitlines())
        told += f"\n⚠️ {escape(problem, longest=1000)}\n\n{lines}\n"
    return f"### {code(path)}: {operation} ({shown})\n\n{table}\n{told}"


def pull_request_body(
    before: Sequence[Image],
    after: Sequence[Image],
    trailers: Trailers,
    *,
    path: str,
    server_url: str,
    decided: str = "",
) -> str:
    """Return the Markdown of the pull request; `decided` is what the caller shows who must say yes or no."""
    known = {key.lower(): value for key, value in trailers}
    repository, commit = known.get("source-repository", ""), known.get("source-commit", "")
    rows = []
    for key, value in trailers:
        if key.lower() == "source-commit" and is_slug(repository):
            shown = f"[{code(commit)}]({server_url}/{repository}/commit/{commit})"
        else:
            shown = code(value, longest=LONGEST_TRAILER)
        rows.append(f"| {key} | {shown} |")
    details = ["| | |", "|---|---|", *rows] if rows else []
    return "\n".join(
        [
            f"Sets the image in {code(path, longest=LONGEST_TRAILER)}.",
            "",
            changes_table(before, after),
            "",
            *_decided(decided),
            *details,
            *([""] if details else []),
            "This pull request is kept up to date: a newer deployment replaces its commit, and the"
            " commits that others add to its branch. Close it to refuse the deployment.",
            "",
            *_trailer_lines(trailers),
        ]
    )


def _decided(markdown: str) -> list[str]:
    """Return the caller's part of the pull request, bounded; no line of it is read as a trailer."""
    text = markdown.strip()
    if len(text) > _LONGEST_DECIDED:
        text = text[:_LONGEST_DECIDED].rpartition("\n")[0] + "\n\n…"
    lines = [f" {line}" if read_trailers(line) else line for line in text.splitlines()]
    return ["### What is decided", "", *lines, ""] if text else []


def _trailer_lines(trailers: Trailers) -> list[str]:
    """Return the trailers as they stand in a commit, for a squash merge that takes this text for its own.

    In a fenced block nothing in them is Markdown, and nobody is mentioned.
    """
    if not trailers:
        return []
    lines = (f"{key}: {value[:LONGEST_TRAILER]}" for key, value in trailers)
    return ["```text", *lines, "```", ""]


def previous(before: Sequence[Image]) -> str:
    """Return what was set: one reference, or for several images the lines that bring it back."""
    if len(before) == 1:
        return before[0].reference
    return "\n".join(f"{image.name}={image.reference}" for image in before)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-")


def _one_line(text: str) -> str:
    return shortened(" ".join(text.split()), _LONGEST_SUBJECT)
