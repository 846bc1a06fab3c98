"""Merge what later templates change into a repository of yours.

Run it at the top of a clone of what `init` or `adopt` made, with all committed. It merges as Git does, and
commits nothing: look at it with `git diff --cached`, then commit. A conflict has Git's marks, and ends with
exit code 3.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import installation, template_files, template_merge, template_source
from model_gitops.adapters.git import Git, open_repository
from model_gitops.core.scaffold import record
from model_gitops.core.scaffold.render import File
from model_gitops.errors import InputError, RefusedError
from model_gitops.options import existing_folder, flag, option

ARGUMENTS: dict[str, str | None] = {"folder": "."}


def command(
    folder: str,
    version: Annotated[
        str,
        option(
            "version",
            "Tag, branch or commit of model-gitops to update to. Default: the one that runs.",
        ),
    ] = "",
    source: Annotated[
        str,
        option(
            "source",
            "Git URL or folder of model-gitops. Default: the clone that it runs from, or where it was installed from.",
        ),
    ] = "",
    dry_run: Annotated[bool, flag("dry-run", "Show the difference, and change nothing.")] = False,
) -> None:
    """Merge the later template. Raises InputError (nothing changed), and RefusedError for conflicts."""
    if version and (not record.VERSION.fullmatch(version) or ".." in version):
        raise InputError.of(
            "version",
            version,
            "it is no tag, branch or commit",
            fix=f"--version {installation.LINE}",
        )
    git = _at_its_top(existing_folder("folder", folder))
    text = (git.directory / record.FILE).read_text("utf-8")
    kept = record.parse(text)
    template_merge.check(git)
    if not version and kept.version == template_files.version():
        runner.answer(
            {}, f"Nothing to do: this is the {kept.template} template of {kept.version[:12]}."
        )
        return
    earlier = template_source.fetch(
        source or template_source.default(kept.version),
        kept.version,
        kept.template,
        named=f"version of {record.FILE}",
    )
    if version:
        place = source or template_source.default(version)
        later = template_source.fetch(place, version, kept.template, named="version")
    else:
        later = template_source.Version(
            template_files.version(), template_files.read(kept.template)
        )
    before, after = kept.rendered(earlier.files), kept.rendered(later.files)
    # The record itself: only its version changes, whatever else somebody wrote there.
    del before[record.FILE], after[record.FILE]
    if before == after:
        runner.answer(
            {}, f"Nothing to do: the {kept.template} template is the same at {later.name[:12]}."
        )
        return
    current = File(text.encode())
    moved = re.sub(r"(?m)^version:.*$", lambda _: f'version: "{later.name}"', text, count=1)
    merged = template_merge.merge(
        git, {**before, record.FILE: current}, {**after, record.FILE: File(moved.encode())}
    )
    label = f"the {kept.template} template at {later.name[:12]}"
    if dry_run:
        runner.answer({}, template_merge.difference(git, merged))
    else:
        template_merge.apply(git, merged, label=label)
    _tell(git, merged, label, dry_run=dry_run)


def _at_its_top(folder: Path) -> Git:
    """Return the repository whose top `folder` is, and has a record. Raises InputError."""
    git = open_repository(folder)
    if not (folder / record.FILE).is_file():
        raise InputError(
            f"{str(folder)!r} has no {record.FILE}: it was not made by `init` or `adopt`",
            fix="model-gitops adopt (for a repository that is there already)",
        )
    if git.directory.resolve() != folder.resolve():
        raise InputError(
            f"{str(folder)!r} is a folder of the repository {git.directory}: its workflows lie outside of it",
            fix=f"move {record.FILE} to {git.directory}, where `init` and `adopt` write it",
        )
    return git


def _tell(git: Git, merged: template_merge.Merged, label: str, *, dry_run: bool) -> None:
    """Say what was merged and what to do next. Raises RefusedError where something conflicts."""
    for path in merged.kept_away:
        runner.notice(f"{path} was deleted here, and {label} changes it: it stays deleted")
    if merged.conflicts:
        names = ", ".join(merged.told())
        if dry_run:
            raise RefusedError(
                f"{label} and this repository changed the same lines: {names}",
                fix="update without --dry-run, and solve them",
            )
        raise RefusedError(
            f"{label} and this repository changed the same lines: {names}",
            fix="edit these files, then git add (or git rm) them and git commit; to take all back: git reset"
            " --hard",
        )
    count = len(git.run("diff", "--name-only", "HEAD", merged.tree).splitlines())
    files = "1 file" if count == 1 else f"{count} files"
    if dry_run:
        runner.say(f"{files} would change: {label} merges without a conflict.")
    else:
        runner.answer(
            {},
            f"{files} changed by {label}, not committed.\n\nNext:\n  git diff --cached\n"
            "  make env check test\n  git commit --message 'Update from model-gitops'",
        )
