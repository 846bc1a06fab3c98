"""Whose code compare-models runs, what it can see, and what is left of it."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from compare_project import DVC_YAML, EVALUATE, RULES, Project, dvc

from model_gitops.adapters.evaluation import Evaluation, refuse_code
from model_gitops.errors import ExternalError, RefusedError

SEES = (
    EVALUATE
    + """\
mine = [f"{k}={v}" for k, v in os.environ.items()]
pathlib.Path(os.environ["PATH"].split(":")[1], "seen").write_text("\\n".join(mine))
"""
)


def test_the_branchs_own_evaluation_and_rules_are_not_run(project: Project) -> None:
    files = {
        "evaluate.py": EVALUATE + 'pathlib.Path("eval/metrics.json").write_text(\'{"mae": 0}\')\n',
        "params.yaml": "script: evaluate.py\nnew: 1\n",
    }
    lying = project.change("experiment", slope=1.0, files=files, rules={"compare": {}})
    assert project.plain(lying) == 0
    # As in the job of a pull request.
    event = project.top / "event.json"
    event.write_text(json.dumps({"pull_request": {"base": {"ref": "main", "sha": project.tip()}}}))
    project.env["GITHUB_EVENT_PATH"] = str(event)
    found = project.run(base_ref="").difference
    assert found.candidate is not None and found.champion is not None
    assert found.candidate > found.champion
    assert found.interval is not None


def test_the_evaluation_sees_no_secret(project: Project) -> None:
    project.change("main", files={"evaluate.py": SEES})
    project.change("experiment", slope=1.9)
    first_on_path = project.top / "programs"
    first_on_path.mkdir()
    secrets = {
        "GITHUB_TOKEN": "canary-1", "AWS_SECRET_ACCESS_KEY": "canary-2", "MY_PASSWORD": "canary-3",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "canary-4", "HTTPS_PROXY": "http://u:canary-5@127.0.0.1:1",
        "PIP_INDEX_URL": "https://u:canary-6@example.org", "GITHUB_ENV": "canary-7",
    }  # fmt: skip
    project.env |= secrets | {"PATH": f"{first_on_path}:{os.environ['PATH']}"}
    setup = f"{sys.executable} -c \"import os; print('set up by', sorted(os.environ))\""
    told = project.run(setup=f"mkdir -p .venv/bin\n{setup}")
    assert told.code == 0, told.log
    seen = (first_on_path / "seen").read_text()
    assert "HOME=" in seen
    # The programs of the set-up come first.
    assert re.search(r"^PATH=[^:]*/tree-[^:/]*/\.venv/bin:", seen, re.MULTILINE)
    assert "canary" not in seen
    assert f"HOME={Path.home()}\n" not in seen + "\n"
    assert set(dict(line.split("=", 1) for line in seen.splitlines() if "=" in line)) <= {
        "PATH", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "CI", "HOME", "TMPDIR", "PWD", "SHLVL", "_",
        "DVC_SITE_CACHE_DIR", "DVC_NO_ANALYTICS", "PYTHONUNBUFFERED", "DVC_ROOT", "DVC_STAGE", "OLDPWD",
        "LD_LIBRARY_PATH",
    }  # fmt: skip
    # The set-up knows the way to the packages, and no more.
    assert "'PIP_INDEX_URL'" in told.log
    assert "'MY_PASSWORD'" not in told.log


PICKLED = DVC_YAML | {
    "stages": {
        "train": {"cmd": "true", "outs": ["models/m.pkl"]},
        "evaluate": DVC_YAML["stages"]["evaluate"]
        | {"deps": ["evaluate.py", "data/test.csv", "models/m.pkl"]},
    },
    "artifacts": {"m": {"path": "models/m.pkl"}},
}
UNPICKLES = EVALUATE.replace(
    'json.loads(pathlib.Path("models/m.json").read_text())',
    '__import__("pickle").loads(pathlib.Path("models/m.pkl").read_bytes())',
)


def test_a_pickle_is_run_only_where_the_base_allows_it(project: Project) -> None:
    main = project.change(
        "main",
        files={
            "dvc.yaml": json.dumps(PICKLED), "evaluate.py": UNPICKLES,
            "models/m.pkl": pickle.dumps({"slope": 1.5}),
        },
    )  # fmt: skip
    allows = {"compare": RULES["compare"] | {"allow-pickle": True}}
    files = {"models/m.pkl": pickle.dumps({"slope": 1.9})}
    project.change("experiment", files=files, rules=allows)
    told = project.run(champion=main)
    assert told.code == 3, told.log
    assert "models/m.pkl counts as code, since it is a pickle" in told.log
    assert "evaluated slope" not in told.log
    assert project.left() == []

    project.change("main", rules=allows)
    project.change("experiment", files=files)
    told = project.run(champion=main)
    assert told.difference.candidate is not None
    assert "may run code when it is loaded" in told.log


def test_a_pickle_under_the_name_of_data_is_refused_before_it_is_loaded(project: Project) -> None:
    project.change("experiment", slope=1.9)
    work = project.top / "work"
    (work / "models" / "m.json").write_bytes(pickle.dumps({"slope": 2}))
    dvc(work, "commit", "--force", "train")
    dvc(work, "push")
    project.git.run("commit", "--quiet", "--all", "--message", "Pickle")
    told = project.run()
    assert (told.code, told.outputs) == (3, {}), told.log
    assert "the candidate's model is not run: models/m.json counts as code" in told.log
    assert "evaluated slope" not in told.log


def test_a_failing_evaluation_says_its_last_lines(project: Project) -> None:
    broken = EVALUATE + 'raise SystemExit("the test set has no rows" if model > 1.8 else 0)\n'
    project.change("main", files={"evaluate.py": broken})
    project.change("experiment", slope=1.9, files={"evaluate.py": EVALUATE})
    told = project.run()
    assert (told.code, told.outputs) == (4, {})
    assert "the evaluation of the candidate, stage 'evaluate', failed with status" in told.log
    assert "the test set has no rows" in told.log.partition("failed with status")[2]
    assert project.left() == []


def test_a_stage_that_is_skipped_hands_on_no_old_numbers(project: Project) -> None:
    evaluate = DVC_YAML["stages"]["evaluate"] | {"frozen": True}
    frozen = DVC_YAML | {"stages": DVC_YAML["stages"] | {"evaluate": evaluate}}
    project.change("main", files={"dvc.yaml": json.dumps(frozen)})
    project.change("experiment", slope=1.9)
    told = project.run()
    assert (told.code, told.outputs) == (4, {}), told.log
    assert re.search(r"missing data 'sources': .*eval/metrics\.json", told.log)


def test_the_limits_of_time_and_size(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    made = Evaluation(tmp_path / "tree", tmp_path / "tree", tmp_path, minutes=0)
    with pytest.raises(
        ExternalError, match=r"the set-up, `sleep 30`, did not end within 0 minutes"
    ):
        made.set_up([["sleep", "30"]])
    with pytest.raises(ExternalError, match=r"the evaluation did not write metrics\.json"):
        made.read("metrics.json")
    (made.tree / "metrics.json").write_text("{}  ")
    with pytest.raises(ExternalError, match=r"has more than 3 bytes"):
        made.read("metrics.json", 3)


def test_each_file_of_a_folder_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a.json").write_text("{}")
    refuse_code(tmp_path, "model", "candidate", allowed=False)
    (tmp_path / "weights" / "conftest.py").write_text("print('me')")
    with pytest.raises(RefusedError, match=r"model/weights/conftest\.py counts as code"):
        refuse_code(tmp_path, "model", "candidate", allowed=False)
    refuse_code(tmp_path, "model", "candidate", allowed=True)


def alive(number: int) -> bool:
    """Whether a process runs; one that ended may wait for a slow init to take note of it."""
    try:
        status = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_sigterm_leaves_nothing(project: Project) -> None:
    marker = project.top / "running"
    slow = f"import time; pathlib.Path({str(marker)!r}).write_text(str(os.getpid())); time.sleep(300)\n"
    (project.top / "work" / "evaluate.py").write_text(EVALUATE + slow)
    project.git.run("commit", "--quiet", "--all", "--message", "Slow")
    project.git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
    ran = project.start(base_ref="main")
    deadline = time.monotonic() + 120
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(project.left()) == 2
    evaluating = int(marker.read_text())
    ran.send_signal(signal.SIGTERM)
    log, _ = ran.communicate(timeout=60)
    assert ran.returncode == 130, log
    assert project.left() == []
    assert not alive(evaluating)
