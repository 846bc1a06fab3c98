"""What a step of a workflow pays before its own work, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from model_gitops.commands import command_line


def test_a_step_needs_no_click() -> None:
    code = (
        "import sys; sys.modules['click'] = None; from model_gitops.__main__ import main;"
        " sys.exit(main(['check-promotion']))"
    )
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(command_line.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env=given,
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "is in no Git checkout" in done.stderr


def test_who_reads_only_the_first_line_is_no_failure_of_ours() -> None:
    code = (
        "import os, sys; from model_gitops import __main__ as m;"
        " m._run = lambda *_: print('x' * 1_000_000, flush=True);"
        " sys.exit(m.main(['check-promotion']))"
    )
    reading, writing = os.pipe()
    os.close(reading)
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(command_line.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env=given,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
