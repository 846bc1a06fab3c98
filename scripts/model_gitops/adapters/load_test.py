"""The load test: the project's own command, run against an address, and the report that it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import paths, process, project_commands, scratch
from model_gitops.core import duration
from model_gitops.core.flow import commands
from model_gitops.core.flow.loads import Load
from model_gitops.core.verify import load as judging
from model_gitops.core.verify.load import LoadReport
from model_gitops.errors import InputError

# Seconds beside the test itself: to install the tool, and for the last answers.
_BESIDE_SECONDS = 600.0


def run(
    asked: Load,
    url: str,
    folder: Path,
    said: Mapping[str, str] | None = None,
    *,
    beside: float = _BESIDE_SECONDS,
) -> LoadReport:
    """Run the project's command `load` in `folder`, that of promotion.yaml, against `url`, and judge.

    `said` are the commands of promotion.yaml; without one, `make load`. Its numbers are judged here again:
    they are the project's own. Raises InputError where there is no such command.
    """
    said = said or {}
    makefile = None if commands.LOAD in said else project_commands.makefile(folder)
    planned = commands.plan(commands.LOAD, said, makefile)
    if not planned.line:
        raise InputError(
            f"promotion.yaml asks for a load test, and the project has none: {planned.skipped}",
            fix="add the target `load` to the Makefile, as the template has it, name another command with"
            " `commands: {load: …}`, or say `load: false` under `verify`",
        )
    limit = asked.longest + beside
    with scratch.folder("model-gitops-load-") as place, runner.group(f"load: {planned.line}"):
        file = place / "report.json"
        try:
            status = project_commands.run_apart(
                planned.line,
                folder,
                extra=judging.environment(asked, url, str(file)),
                without=runner.STEP_FILES,
                timeout=limit,
            )
        except process.TimedOutError:
            return judging.without_report(f"it did not end within {duration.words(limit)}")
        try:
            content = paths.read_bounded(file, judging.LARGEST)
        except OSError:
            return judging.without_report(
                f"`{planned.line}` ended with status {status} and wrote no report"
            )
    if len(content) > judging.LARGEST:
        return judging.without_report(f"the report has more than {judging.LARGEST} bytes")
    try:
        measured = judging.parse(content.decode("utf-8", errors="replace"))
    except InputError as error:
        return judging.without_report(str(error))
    return judging.judge(asked, measured, status)
