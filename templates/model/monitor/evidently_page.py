"""Evidently's own pages for the newest week, for people who want them: monitor/evidently.html.

Run by `make evidently`, in an environment of its own. It decides nothing: evidently corrects for no
number of columns, and a column that the week lacks it leaves out without a word.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset


def main() -> int:
    """Write evidently.html beside what `make monitor` left; 0 is good."""
    weeks = sorted(Path("windows").glob("*.csv"))
    if not weeks:
        print("evidently: there is no week to compare yet")
        return 0
    reference, week = (pd.read_csv(path) for path in (Path("reference/data.csv"), weeks[-1]))
    columns = [name for name in reference.columns if name in week.columns]
    report = Report([DataDriftPreset()]).run(week[columns], reference[columns])
    report.save_html("evidently.html")
    print(f"evidently: {weeks[-1].stem}, {len(columns)} columns: monitor/evidently.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
