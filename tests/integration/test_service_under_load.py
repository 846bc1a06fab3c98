"""The template's service, load test and recorded requests, as verify-deployment runs them: with each fault.

Long because one trained model serves all of it.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import select
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from template_project import TEMPLATE, Project
from verify_site import DIGEST, IMAGE, Site, github_description, site

from model_gitops.adapters import champion_test, load_test
from model_gitops.adapters.web_client import Conversation
from model_gitops.core.flow.champions import Champion
from model_gitops.core.flow.loads import Load
from model_gitops.core.verify.row import Row
from model_gitops.errors import InputError

__all__ = ["github_description", "site"]
pytestmark = pytest.mark.slow
SERVICE = Path(__file__).parents[1] / "faulty_service.py"
LOAD = Load(users=10, rate=100, seconds=2, warm_up=0.2, failures=0.01, p95=0.2, p99=0.29)
# Where times are not the matter: other tests keep the machine busy.
PATIENT = replace(LOAD, p95=5.0, p99=9.0)
CHAMPION = Champion("tests/recorded-requests.jsonl", slower=50)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The template with a trained model, and both its environments."""
    folder = tmp_path_factory.mktemp("service")
    made = Project(folder / "model", folder / "remote")
    made.make("reproduce", ".venv-load/.ready")
    return made


@contextmanager
def service(project: Project, fault: str = "") -> Iterator[str]:
    """Run the project's service with a fault; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        project.folder / ".venv/bin/python", "-B", SERVICE, project.folder / "src",
        project.folder / "models/diabetes.onnx", str(port), fault,
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    env = {**os.environ, "IMAGE": f"{IMAGE}@{DIGEST}"}
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env
    ) as process:
        try:
            for _ in range(300):
                try:
                    with urllib.request.urlopen(f"{url}/version", timeout=5):
                        break
                except OSError:
                    time.sleep(0.1)
            yield url
        finally:
            process.kill()


def broken(rows: tuple[Row, ...]) -> dict[str, str]:
    return {one.check: one.measured for one in rows if one.passed is False}


def test_a_good_service_passes_both(project: Project) -> None:
    with service(project) as url:
        found = load_test.run(PATIENT, url, project.folder)
        assert broken(found.rows) == {}
        assert [one.check for one in found.rows] == ["load: failures", "load: p95", "load: p99"]
        assert found.measured and found.measured.requests > 20
        assert found.measured.seconds == pytest.approx(2, abs=0.2)
        same = champion_test.compare(CHAMPION, url, url, project.folder, expected=True)
        assert broken(same.rows) == {}
        assert same.pairs == 120
    assert project.changed() == [
        "?? dvc.lock", "?? eval/metrics.json", "?? eval/plots/learning_curve.csv",
        "?? eval/plots/predictions.csv",
    ]  # fmt: skip


# What Prometheus adds to what it scrapes.
TARGET = {"job", "namespace", "pod"}
# Words of a query that are neither a metric nor a label.
WORDS = {
    "sum",
    "present_over_time",
    "by",
    "rate",
    "increase",
    "histogram_quantile",
    "count",
    "group",
    "unless",
    "and",
    "or",
    "vector",
    "abs",
    "offset",
    "label_values",
}


def exposed(url: str) -> tuple[set[str], set[str], str]:
    """Return the metrics and labels that the service shows, and the text."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    samples = re.findall(r"(?m)^(\w+)(\{.*?\})? ", text)
    labels = {label for _, found in samples for label in re.findall(r'(\w+)="', found)}
    return {name for name, _ in samples}, labels | TARGET, text


def test_alerts_and_dashboard_ask_for_what_the_service_has(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUEST_LOG", str(tmp_path / "requests.jsonl"))
    recorded = [
        json.loads(line) for line in (TEMPLATE / CHAMPION.requests).read_text().splitlines()
    ]
    body = json.dumps({"instances": [one["instance"] for one in recorded]}).encode()
    with service(project) as url:
        told = {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{url}/predict", body, told)) as answer:
            said = json.loads(answer.read())["predictions"]
        metrics, labels, text = exposed(url)
    monitoring = TEMPLATE.parent / "deploy" / "monitoring"
    rules = yaml.safe_load((monitoring / "alerts.yaml").read_text("utf-8"))["spec"]["groups"]
    board = json.loads((monitoring / "dashboard.json").read_text("utf-8"))
    queries = [one["expr"] for group in rules for one in group["rules"]]
    queries += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    queries += [one["expr"] for one in board["annotations"]["list"]]
    queries += [
        one["query"]["query"] for one in board["templating"]["list"] if one["type"] == "query"
    ]
    assert len(queries) > 20
    for query in queries:
        bare = re.sub(r'"[^"]*"|\[[^\]]*\]', "", query)
        named = set(re.findall(r"\b[a-z_]\w+", bare)) - WORDS
        assert named & metrics, query
        # Each word of it is a metric or a label of this service: a name that is gone shows here.
        assert named - metrics - labels == set(), query
    # The spans of the histogram are those of the predictions.
    spans = [float(value) for value in re.findall(r'prediction_value_bucket\{le="([0-9.]+)"', text)]
    within = [one for one in said if spans[0] < one <= spans[-1]]
    assert len(within) == len(said)
    log = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert [one["prediction"] for one in log] == said
    assert [one["instance"] for one in log] == [one["instance"] for one in recorded]
    # What was logged can be sent again.
    with service(project) as again:
        same = champion_test.compare(
            replace(CHAMPION, requests="requests.jsonl"), again, again, tmp_path, expected=True
        )
    assert broken(same.rows) == {}


@pytest.mark.parametrize(
    ("fault", "check", "told"),
    [
        ("wrong", "load: failures", "a prediction that is no number from -200 to 600"),
        ("slow", "load: p95", " ms"),
        ("2 % with 500", "load: failures", "2 × status 500"),
    ],
)
def test_a_fault_breaks_the_threshold_that_it_concerns(
    project: Project, fault: str, check: str, told: str
) -> None:
    with service(project, fault) as url:
        found = broken(load_test.run(LOAD, url, project.folder).rows)
    assert check in found
    assert told in found[check]
    assert set(found) <= {check, "load: p95", "load: p99"}


LIMITS = {"users": 10, "rate": 100, "time": "2s", "warm-up": "200ms", "failures": "1%"}


def verified(site: Site, project: Project, url: str, champion: str, **load: str) -> Any:
    """Verify the service at `url` as a step does, by load and against a champion."""
    site.commands = {"load": f"make --no-print-directory -C {project.folder} load"}
    recorded = {"requests.jsonl": (project.folder / CHAMPION.requests).read_text("utf-8")}
    site.commit(site.work, recorded)
    site.rules(
        url=url, integration=False, load={**LIMITS, **load}, **{"on-failure": "rollback"},
        champion=bool(champion) and {"requests": "requests.jsonl", "url": champion, "slower": 50},
    )  # fmt: skip
    told = site.run()
    ((state, description, _), *_) = site.statuses(told.outputs["commit"])
    assert state == told.outputs["verdict"]
    assert len(description) <= 140
    return told, description


@pytest.mark.parametrize(
    ("fault", "load", "number", "threshold"),
    [
        ("wrong", {}, r"load: failures: 100 % \(", "asked: at most 1 %"),
        ("slow", {"p95": "200ms"}, r"load: p95: \d+(\.\d+)? ms", "asked: at most 200 ms"),
        ("2 % with 500", {}, r"load: failures: [12]\.?\d* % \(\d+ of \d+; \d+ × status 500\)", "asked: at most 1 %"),
        ("other", {}, r"champion: answers: 100 % \(120 of 120", "asked: at most 1 %"),
        ("", {}, "", ""),
    ],
    ids=["wrong", "slow", "2 % with 500", "other", "good"],
)  # fmt: skip
def test_the_step_and_the_commit_status_say_which_number_broke_which_threshold(
    project: Project, site: Site, fault: str, load: dict[str, str], number: str, threshold: str
) -> None:
    with service(project, fault) as url, service(project) as champion:
        compared = champion if fault in ("other", "") else ""
        told, description = verified(site, project, url, compared, **load)
    if not fault:
        assert told.code == 0, told.log
        kinds = {one["check"].partition(":")[0] for one in told.report["checks"]}
        assert kinds == {"the deployed image runs", "load", "champion"}
        return
    assert told.code == 3, told.log
    for said in (told.outputs["reason"], description):
        assert re.match(number, said), said
        assert threshold in said
    assert told.outputs["rollback"] == "true"


def test_the_champion_shows_what_is_otherwise(project: Project) -> None:
    def compared(fault: str, asked: Champion = CHAMPION) -> dict[str, str]:
        with service(project, fault) as candidate:
            report = champion_test.compare(
                asked, champion, candidate, project.folder, expected=True
            )
        return broken(report.rows)

    with service(project) as champion:
        other = compared("other")
        assert set(other) == {"champion: answers"}
        assert other["champion: answers"].startswith(
            "100 % (120 of 120; line 1: $.predictions[0]: "
        )
        # A new model may say something else, so far as the team says.
        assert compared("other", replace(CHAMPION, tolerance=0.4)) == {}
        errors = compared("2 % with 500")
        assert errors == {"champion: errors": "1.667 % (2 of 120; line 5: status 500)"}
    assert len(other) == 1


def test_a_slow_candidate_is_told_by_the_ratio(project: Project, tmp_path: Path) -> None:
    lines = (project.folder / CHAMPION.requests).read_text("utf-8").splitlines()
    (tmp_path / "few.jsonl").write_text(lines[0] + "\n", "utf-8")
    with service(project) as champion, service(project, "slow") as candidate:
        report = champion_test.compare(
            Champion("few.jsonl"), champion, candidate, tmp_path, expected=True, seconds=4
        )
    found = broken(report.rows)
    assert set(found) == {"champion: p50", "champion: p95"}
    told = re.search(r" times \((\d+)[.\d]* ms, the champion", found["champion: p50"])
    assert told, found
    assert int(told[1]) >= 300
    assert report.pairs < 20


@pytest.mark.parametrize("expected", [True, False])
def test_a_champion_that_is_not_there(project: Project, expected: bool) -> None:
    nobody = "http://127.0.0.1:9"
    with service(project) as candidate:
        report = champion_test.compare(
            CHAMPION, nobody, candidate, project.folder, expected=expected
        )
    (row,) = report.rows
    assert "the connection is refused" in row.measured
    assert row.passed is (False if expected else None)
    assert champion_test.compare(CHAMPION, "", candidate, project.folder, expected=False).passed


GOOD_ANSWER = b'{"predictions": [150.0]}'


def head(status: str, length: int, *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {length}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


Send = Callable[[int, Callable[[bytes], None]], bool | None]


@contextmanager
def raw_service(send: Send) -> Iterator[str]:
    """Answer the n-th request by `send(n, write)`; the connection is kept, unless that returns True. Its address."""
    asked = itertools.count(1)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                while self.rfile.readline():
                    length = 0
                    while line := self.rfile.readline().strip():
                        name, _, value = line.decode().partition(":")
                        length = int(value) if name.lower() == "content-length" else length
                    self.rfile.read(length)
                    if send(next(asked), self.request.sendall):
                        return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 100

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def drips(number: int, write: Callable[[bytes], None]) -> None:
    """One answer in four comes a byte in a while, and has no end."""
    if number % 4:
        return write(head("200 OK", len(GOOD_ANSWER)) + GOOD_ANSWER)
    write(head("200 OK", 10_000))
    while True:
        write(b" ")
        time.sleep(0.2)


def redirects(number: int, write: Callable[[bytes], None]) -> None:
    """To where every answer is good, which is not what is to be measured."""
    if number % 2:
        write(head("307 Elsewhere", 0, "Location: /there"))
    else:
        write(head("200 OK", len(GOOD_ANSWER)) + GOOD_ANSWER)


def ends_early(number: int, write: Callable[[bytes], None]) -> bool:
    """What came is an answer; more was promised."""
    write(head("200 OK", len(GOOD_ANSWER) + 9) + GOOD_ANSWER)
    return True


def is_huge(number: int, write: Callable[[bytes], None]) -> None:
    write(head("200 OK", 2**30))
    for _ in range(2**10):
        write(b" " * 2**20)


def is_packed(number: int, write: Callable[[bytes], None]) -> None:
    packed = gzip.compress(GOOD_ANSWER)
    write(head("200 OK", len(packed), "Content-Encoding: gzip") + packed)


def unpacks_to_much(
    number: int, write: Callable[[bytes], None], bomb: bytes = gzip.compress(b" " * 10**8)
) -> None:
    write(head("200 OK", len(bomb), "Content-Encoding: gzip") + bomb)


@pytest.fixture(scope="module")
def impatient(project: Project) -> Project:
    """The project, whose load test waits for one second, not for ten."""
    clone = project.clone("impatient")
    shutil.copytree(project.folder / ".venv-load", clone.folder / ".venv-load", symlinks=True)
    file = clone.folder / "tests/load/locustfile.py"
    file.write_text(file.read_text("utf-8").replace("TIMEOUT = 10 ", "TIMEOUT = 1 "), "utf-8")
    return clone


@pytest.mark.parametrize(
    ("send", "told"),
    [
        (drips, "no whole answer in 1 s"),
        (redirects, "status 307"),
        (ends_early, "no whole answer ("),
        (is_huge, "an answer of more than 1048576 bytes"),
        (unpacks_to_much, "an answer without predictions"),
        (is_packed, ""),
    ],
)
def test_what_is_no_whole_answer_of_this_service_is_a_failure(
    impatient: Project, send: Send, told: str
) -> None:
    asked = Load(users=4, rate=100, seconds=1.5, warm_up=0, failures=0.01)
    with raw_service(send) as url:
        found = load_test.run(asked, url, impatient.folder)
    assert list(broken(found.rows)) == (["load: failures"] if told else [])
    assert told in "".join(broken(found.rows).values())
    assert found.measured
    assert found.measured.requests >= 4


def test_a_connection_that_a_service_has_closed_is_opened_again() -> None:
    """A service that soon ends what is kept is none that fails, beside a champion that is slow."""
    ends = threading.Event()

    def ends_later(number: int, write: Callable[[bytes], None]) -> bool:
        write(head("200 OK", len(GOOD_ANSWER)) + GOOD_ANSWER)
        return ends.wait(10) and number == 1

    with raw_service(ends_later) as url:
        talk = Conversation(url)
        assert talk.ask("/predict").body == GOOD_ANSWER
        kept = talk._connection.sock
        ends.set()
        assert select.select([kept], [], [], 10)[0]
        assert talk.ask("/predict").body == GOOD_ANSWER
        again = talk._connection.sock
        assert again is not kept
        # Where it is open it is kept: a new one each time would be measured as well.
        assert talk.ask("/predict").body == GOOD_ANSWER
        assert talk._connection.sock is again
        talk.close()


def test_nobody_there_is_no_success(project: Project) -> None:
    found = broken(load_test.run(LOAD, "http://127.0.0.1:9", project.folder).rows)
    assert found["load: failures"].startswith("100 % (")


def test_an_error_in_the_load_test_is_no_success(project: Project) -> None:
    clone = project.clone("broken")
    shutil.copytree(project.folder / ".venv-load", clone.folder / ".venv-load", symlinks=True)
    file = clone.folder / "tests/load/locustfile.py"
    text = file.read_text("utf-8")
    file.write_text(text.replace("body = {", "raise ValueError('mine')\n        body = {"), "utf-8")
    found = broken(load_test.run(LOAD, "http://127.0.0.1:9", clone.folder).rows)
    assert set(found) == {"load: requests"}
    # A file that takes longer to import than the test lasts: its time starts later.
    file.write_text(text.replace("import gevent\n", "import gevent\ntime.sleep(3)\n", 1), "utf-8")
    with service(project) as url:
        found = load_test.run(PATIENT, url, clone.folder)
    assert broken(found.rows) == {}
    assert found.measured and found.measured.requests > 20


# The project's own command, in other projects: a line that writes a report, or does not.
GOOD = '{"requests": 9, "failures": 0, "seconds": 2, "p50": 1, "p95": 1, "p99": 1}'


@pytest.mark.parametrize(
    ("line", "check", "told"),
    [
        (f"echo '{GOOD}' >$LOAD_REPORT", "", ""),
        (f"echo '{GOOD}' >$LOAD_REPORT; exit 3", "load: command", "status 3"),
        ("true", "load: report", "ended with status 0 and wrote no report"),
        ("echo '::error::x' >$LOAD_REPORT", "load: report", "it is no JSON"),
        ("mkdir $LOAD_REPORT", "load: report", "wrote no report"),
        ("ln -s /dev/zero $LOAD_REPORT", "load: report", "wrote no report"),
        ("head -c 1100000 /dev/zero >$LOAD_REPORT", "load: report", "more than 1048576 bytes"),
        ("sleep 60", "load: report", "did not end within 3 s"),
        ('echo "a=b" >$GITHUB_OUTPUT', "load: report", "status 1"),
    ],
)
def test_a_command_of_any_project_is_judged_by_its_report(
    tmp_path: Path, line: str, check: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    found = load_test.run(
        Load(seconds=2, warm_up=0, users=1, rate=1),
        "http://x",
        tmp_path,
        {"load": line},
        beside=0.1,
    )
    assert not (tmp_path / "output").exists()
    assert list(broken(found.rows)) == ([check] if check else [])
    assert told in "".join(broken(found.rows).values())


def test_a_project_without_a_load_test_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="asks for a load test, and the project has none"):
        load_test.run(LOAD, "http://x", tmp_path)
    (tmp_path / "Makefile").write_text("test:\n\ttrue\n", "utf-8")
    with pytest.raises(InputError, match="no target in the Makefile"):
        load_test.run(LOAD, "http://x", tmp_path)


@pytest.mark.parametrize("name", ["gone.jsonl", "folder", "link"])
def test_recorded_requests_that_can_not_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(Path(sys.executable))
    with pytest.raises(InputError, match=r"verify\.champion\.requests"):
        champion_test.compare(Champion(name), "http://a", "http://b", tmp_path, expected=True)


def test_the_templates_requests_are_where_promotion_yaml_says() -> None:
    assert (TEMPLATE / CHAMPION.requests).is_file()
