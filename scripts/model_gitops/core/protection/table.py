"""What differs, as a person reads it in a terminal and in a run's summary."""

from __future__ import annotations

from collections.abc import Sequence

from model_gitops.core import markdown
from model_gitops.core.protection.settings import Change, Desired, Setting, shown


def text(desired: Desired, changes: Sequence[Change], unseen: Sequence[Setting]) -> str:
    """Return what differs in one repository: by subject, what is and what it becomes."""
    lines = [desired.repository]
    if not changes:
        lines.append("  nothing to change" + (" in what can be seen" if unseen else ""))
    for subject in dict.fromkeys(one.subject for one in changes):
        own = [one for one in changes if one.subject == subject]
        is_new = all(one.found is None for one in own) and len(own) > 1
        lines.append(f"  {subject}" + (": not protected yet" if is_new else ""))
        width = max(len(one.setting) for one in own)
        for one in own:
            before = "" if is_new else f"{shown(one.found)} → "
            lines.append(f"    {one.setting:<{width}}  {before}{shown(one.wanted)}")
    if unseen:
        names = [f"{one.subject}: {one.name}" for one in unseen]
        lines += ["  not seen, as the token may not", *(f"    {one}" for one in names)]
    if desired.todos:
        lines.append("  left for you")
        for todo in desired.todos:
            lines.append(f"    {todo.subject} {todo.what}".replace("repository secret", "secret"))
            lines += [f"      {todo.command}"] if todo.command else []
    if desired.notes:
        lines += ["  to know", *(f"    {one}" for one in desired.notes)]
    return "\n".join(lines)


def summary(desired: Desired, changes: Sequence[Change], unseen: Sequence[Setting]) -> str:
    """Return the same as Markdown, for the summary of a run."""
    lines = [f"### Protection of {markdown.escape(desired.repository)}", ""]
    loose = [one for one in desired.todos if one.is_loose]
    hidden = "; ".join(markdown.escape(f"{one.subject}: {one.name}") for one in unseen)
    if hidden:
        lines += [f"Not seen, as the token may not: {hidden}.", ""]
    if not changes and not loose:
        rest = "The rest is as" if hidden else "As"
        return "\n".join([*lines, f"{rest} promotion.yaml wants it.", ""])
    lines += ["| | setting | is | should be |", "|---|---|---|---|"]
    for one in changes:
        cells = (str(one.subject), one.setting, shown(one.found), shown(one.wanted))
        lines.append(f"| {' | '.join(markdown.escape(cell) for cell in cells)} |")
    lines += [
        "",
        *(f"- {markdown.escape(one.what)}: {markdown.code(one.command)}" for one in loose),
    ]
    return "\n".join([*lines, ""])
