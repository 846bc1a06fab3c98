"""Is it an alarm: so many of the last windows that can be judged, and how that is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from model_gitops.core.drift.rule import Rule
from model_gitops.core.drift.windows import Window
from model_gitops.core.markdown import escape

# In the table and in a sentence; outputs have all.
_SHOWN_WINDOWS = 20
_SHOWN_COLUMNS = 10


@dataclass(frozen=True)
class Judgement:
    """The verdict. `judged` are the last windows that count, `drifted` those of them that say drift.

    `columns` drifted in these, the one that did so most often first.
    """

    rule: Rule
    windows: tuple[Window, ...]
    judged: tuple[Window, ...]
    minimum_rows: int = 0

    @property
    def drifted(self) -> tuple[Window, ...]:
        """The judged windows that say drift."""
        return tuple(one for one in self.judged if one.drift)

    @property
    def alarm(self) -> bool:
        """Whether so many of the last windows drift as the rule says."""
        return len(self.drifted) >= self.rule.needed

    @property
    def columns(self) -> tuple[str, ...]:
        """Which columns drifted in the windows that drift."""
        counted = Counter(name for one in self.drifted for name in one.columns)
        return tuple(sorted(counted, key=lambda name: -counted[name]))


def judge(windows: Sequence[Window], rule: Rule, minimum_rows: int = 0) -> Judgement:
    """Judge the last windows, the newest last. A window with too few rows, or that says nothing, is passed over."""
    countable = [one for one in windows if not uncounted(one, minimum_rows)]
    return Judgement(rule, tuple(windows), tuple(countable[-rule.of :]), minimum_rows)


def uncounted(window: Window, minimum_rows: int) -> str:
    """Return why a window can't be judged, or an empty text."""
    if window.drift is None:
        return "says nothing of drift"
    if window.rows is not None and window.rows < minimum_rows:
        return f"fewer than {minimum_rows} rows"
    return ""


def sentence(found: Judgement) -> str:
    """Say the verdict in one line of plain text."""
    judged, drifted = len(found.judged), len(found.drifted)
    passed_over = sum(1 for one in found.windows if uncounted(one, found.minimum_rows))
    also = f"; {_count(passed_over)} not judged" if passed_over else ""
    if not found.windows:
        return "No alarm: there is no window yet."
    if judged < found.rule.needed and not found.alarm:
        return f"No alarm: {_count(judged)} can be judged, and the rule is {found.rule}{also}."
    of = f"{drifted} of the last {_count(judged)} drift{'s' if drifted == 1 else ''}"
    if not found.alarm:
        return f"No alarm: {of}, and the rule is {found.rule}{also}."
    what = _listed(found.columns)
    return f"Drift: {of} (rule: {found.rule}){f', most in {what}' if what else ''}{also}."


def _count(number: int) -> str:
    return f"{number} window{'' if number == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN_COLUMNS
    return ", ".join(names[:_SHOWN_COLUMNS]) + (f" and {more} more" if more > 0 else "")


def picture(found: Judgement) -> str:
    """Draw one sign a window, the newest last: ● drift, ○ none, · not judged."""
    signs = [
        "·" if uncounted(one, found.minimum_rows) else "●" if one.drift else "○"
        for one in found.windows[-_SHOWN_WINDOWS:]
    ]
    return " ".join(signs)


def markdown(found: Judgement) -> str:
    """Show verdict, picture and table for a step's summary."""
    title = "drift" if found.alarm else "no alarm"
    said = f"### Drift gate: {title}\n\n{escape(sentence(found), longest=1000)}\n"
    if not found.windows:
        return said
    return f"{said}\n{picture(found)}\u2002(● drift, ○ none, · not judged; the newest last)\n\n{table(found)}"


def table(found: Judgement) -> str:
    """Show the last windows as a Markdown table; what comes from outside is escaped."""
    shown = found.windows[-_SHOWN_WINDOWS:]
    numbered = any(one.value is not None for one in shown)
    lines = [
        f"| window | rows |{' number |' if numbered else ''} drift | what drifted |",
        f"|---|---:|{'---:|' if numbered else ''}---|---|",
    ]
    for one in shown:
        why = uncounted(one, found.minimum_rows)
        says = f"· {why}" if why else "● yes" if one.drift else "○ no"
        if not why and not any(one is other for other in found.judged):
            says += " (before the last)"
        rows = "–" if one.rows is None else f"{one.rows}"
        value = "–" if one.value is None else f"{one.value:.5g}"
        number = f" {value} |" if numbered else ""
        what = escape(_listed(one.columns), longest=300)
        lines.append(f"| {escape(one.name)} | {rows} |{number} {says} | {what} |")
    more = len(found.windows) - len(shown)
    note = f"\n{more} older window{'' if more == 1 else 's'} left out.\n" if more > 0 else ""
    return "\n".join(lines) + "\n" + note
