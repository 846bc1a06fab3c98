"""Say whether the data drifted in so many of the last windows, from any JSON."""

from __future__ import annotations

import json
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import drift_files
from model_gitops.core.drift import judgement, rule, windows
from model_gitops.core.drift.windows import Paths
from model_gitops.errors import InputError, RefusedError
from model_gitops.options import flag, lines, option

OUTPUTS = ("drift", "windows", "columns", "summary", "table")


def command(
    file: Annotated[
        str,
        option(
            "file",
            "JSON file of windows, or several files, one a line, the oldest first; `*` matches within a name.",
        ),
    ] = "monitor/drift.json",
    windows_path: Annotated[
        str,
        option(
            "windows",
            "Dotted path of the windows in the JSON, such as `result.windows`. Default: `windows`, else a list at"
            " the top, else the file is one window.",
        ),
    ] = "",
    drift_path: Annotated[
        str,
        option(
            "drift",
            "Dotted path, in a window, of a boolean or a number that says drift. Default: found by itself.",
        ),
    ] = "",
    threshold: Annotated[
        str, option("threshold", "Which numbers say drift, such as `> 0.1` or `< 0.05`.")
    ] = "",
    columns: Annotated[
        str,
        option(
            "columns",
            "Dotted path, in a window, of the columns that drifted. Default: found by itself.",
        ),
    ] = "",
    rule_text: Annotated[
        str, option("rule", "How many of the last windows must drift, such as `2 of 5 windows`.")
    ] = "2 of 5 windows",
    minimum_rows: Annotated[
        str,
        option(
            "minimum-rows",
            "A window with fewer rows is not judged. One that tells no `rows` is.",
        ),
    ] = "100",
    check: Annotated[bool, flag("check", "Whether drift ends the step (code 3).")] = False,
    config: Annotated[
        str,
        option(
            "config",
            "promotion.yaml, or its folder: `file` is relative to that folder. It need not be there.",
        ),
    ] = "promotion.yaml",
) -> None:
    """Read the windows, judge the last ones by the rule, and show all in a table."""
    names = lines(file)
    if not names:
        raise InputError("input `file` is empty", fix="file: monitor/drift.json")
    asked = rule.parse(rule_text)
    fewest = _number(minimum_rows)
    paths = Paths(windows_path, drift_path, columns, rule.threshold(threshold))
    read = [
        window
        for name, text in drift_files.find(names, config)
        for window in windows.read(text, paths, source=name)
    ]
    if read and all(one.drift is None for one in read):
        where = f"at `{drift_path}`" if drift_path else "in a way that is known"
        raise InputError(
            f"input `file`: none of {len(read)} windows says {where} whether it drifted",
            fix="drift: the dotted path of a boolean or a number in a window, such as `result.drifted`",
        )
    found = judgement.judge(read, asked, fewest)
    said = judgement.sentence(found)
    table = judgement.table(found) if read else ""
    runner.write_outputs(
        {
            "drift": "true" if found.alarm else "false",
            "windows": json.dumps([one.name for one in found.drifted]),
            "columns": json.dumps(list(found.columns)),
            "summary": said,
            "table": table,
        }
    )
    runner.write_summary(judgement.markdown(found))
    if found.alarm and check:
        raise RefusedError(
            f"the data drifted: {said}",
            fix="look at the windows in the summary; train with newer data, or mend what sends other data",
        )
    # Where no window can be judged nothing is watched, and that must not look like health.
    blind = bool(read) and not found.judged
    (runner.warning if found.alarm or blind else runner.notice)(said, title="Drift")


def _number(text: str) -> int:
    if not (text.strip().isascii() and text.strip().isdecimal()) or len(text.strip()) > 12:
        raise InputError.of("minimum-rows", text, "it is no whole number", fix="minimum-rows: 100")
    return int(text)
