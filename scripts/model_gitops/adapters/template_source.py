"""The templates of any version of model-gitops, from its Git repository or a clone of it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import installation, process, scratch, template_files
from model_gitops.adapters.git import Git
from model_gitops.core import retry
from model_gitops.core.scaffold.render import File
from model_gitops.errors import ExternalError, InputError


@dataclass(frozen=True)
class Version:
    """The files of one template, and the commit or tag that they are of."""

    name: str
    files: dict[str, File]


def default(version: str) -> str:
    """Return where a version is looked for: in the clone of ours that this runs from, if it has it.

    Else where this package was installed from, which may be a mirror; else our public repository.
    """
    clone = template_files.clone()
    if clone and Git(clone).commit_of(version):
        return str(clone)
    installed = re.fullmatch(r"git\+(.+)@[^@/]+", installation.source())
    return installed[1] if installed else installation.REPOSITORY


def fetch(source: str, version: str, template: str, *, named: str) -> Version:
    """Return the template at a tag, branch or commit of `source`, a URL or a folder.

    `named` says where the version is from, for messages. Raises InputError where `source` has no such
    version, or none of our templates in it; ExternalError where it does not answer.
    """
    with scratch.folder("model-gitops-templates-") as folder:
        git = Git(folder)
        git.run("init", "--quiet", "--bare")
        commit = _fetched(git, _reached(git, source), version)
        if commit is None:
            raise InputError.of(
                named,
                version,
                f"{source} has no such tag, branch or commit",
                fix=f"git ls-remote --tags {source} (its releases); --source another clone of model-gitops",
            )
        listing = git.run("ls-tree", "-r", "-z", commit, "--", f"templates/{template}/")
        entries = [entry.partition("\t") for entry in listing.split("\0") if entry]
        contents = git.blobs([head.split(" ")[2] for head, _, _ in entries])
        files = {
            path.removeprefix(f"templates/{template}/"): File(
                content, executable=head.startswith("100755")
            )
            for (head, _, path), content in zip(entries, contents, strict=True)
        }
    if not files:
        raise InputError.of(
            named,
            version,
            f"{source} has no templates/{template} there",
            fix=f"--source {installation.REPOSITORY}",
        )
    return Version(commit, files)


def _reached(git: Git, source: str) -> str:
    """Return `source` as Git takes it. It is asked once: a person waits. Raises InputError, ExternalError."""
    fix = (
        f"--source: the URL or folder of a clone of model-gitops, such as {installation.REPOSITORY}"
    )
    is_folder = Path(source).is_dir()
    if not is_folder and not re.search(r"://|^[^/]+:", source):
        raise InputError.of("source", source, "no such folder, and no URL", fix=fix)
    # A folder is one of this machine, not of the scratch repository.
    place = str(Path(source).absolute()) if is_folder else source
    runner.say(f"Reading the templates of {source}")
    asked = git.completed("ls-remote", "--quiet", "--", place, "HEAD", check=False)
    if asked.returncode == 0:
        return place
    said = retry.reason(asked.stderr)
    if is_folder:
        raise InputError.of("source", source, f"it is no Git repository: {said}", fix=fix)
    raise ExternalError(f"{source} does not answer: {said}", fix=f"try again, or {fix}")


def _fetched(git: Git, source: str, version: str) -> str | None:
    """Fetch one version, alone where the server lets us, and return its commit; None for none."""
    tries = [
        ["--depth=1", "--", source, f"refs/tags/{version}"],
        ["--depth=1", "--", source, version],
        # A server may hand out only what a branch or a tag names: then all of it.
        ["--", source, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"],
    ]
    for words in tries:
        with suppress(process.ProcessError):
            git.remote("fetch", "--quiet", "--no-tags", *words)
            whole = words[-1].startswith("+")
            return git.commit_of(version if whole else "FETCH_HEAD")
    return None
