"""`make demo-life`: a model in production, from drifted data to a rollback that nobody had to start.

The parts are real: the templates' workflows under act, the serving image in containers, load by locust,
drift by scipy. One deployer stands in for Argo CD and the cluster, and the weeks are dated, not waited for.
"""

from __future__ import annotations

import json
import re
import socket
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from model_gitops.adapters.gto_registry import Tags
from model_gitops.core import document
from model_gitops.core.scaffold import answers
from model_gitops.errors import ExternalError
from model_gitops_local import act, machine, report_pages
from model_gitops_local.demo import clean, clock
from model_gitops_local.engine import remove_engine
from model_gitops_local.flow import DEPLOY, MODEL, Flow
from model_gitops_local.life import page, pictures, traffic
from model_gitops_local.life.deployer import Deployer, Place, Synced
from model_gitops_local.life.telling import Telling, say
from model_gitops_local.life.traffic import Patient
from model_gitops_local.parts import parts_of

PRODUCTION = "production"
FIRST, BAD, MENDED = "experiment/more-epochs", "experiment/second-opinion", "experiment/without-it"
# What each sets in params.yaml: `train.epochs`.
EPOCHS = {FIRST: 60, BAD: 80}
# One bad week does nothing.
RULE = "2 of 3 windows"
ROWS = 200  # a week, each a real request's
WEEKS = 3
# Answers that take longer than `verify.load.p95` allows: what no gate on metrics sees.
P95, SLOW = 250, 0.3  # ms, s


@dataclass
class Life(Telling):
    """A model's life: the scenes, and what is looked at between them."""

    deployer: Deployer = field(kw_only=True)
    latencies: list[tuple[str, float]] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """Where production runs."""
        return self.deployer.places[PRODUCTION]

    def play(self) -> None:
        """Tell the whole story."""
        self.title("Two repositories, from the templates; a deployer instead of a cluster")
        self.flow.create_repositories(
            answers.new(
                name="diabetes", owner="acme", branches=["main"], environments=[PRODUCTION]
            ),
            self._ask_for_verification,
        )
        self.deployer.start()
        self._deploy_first()
        self._live_three_weeks()
        number = self._find_drift()
        self._promote(number, "the retrained model", "v0.0.2")
        self._deploy_bad()
        self._refuse_while_held()
        self._release()

    # --- scenes -----------------------------------------------------------------------------------

    def _deploy_first(self) -> None:
        number = self._experiment(FIRST, "A first model")
        self._promote(number, "the first model", "v0.0.1")

    def _live_three_weeks(self) -> None:
        """Let people ask the service; date what it logged into three weeks, and let labels arrive."""
        self.begin("Three weeks of requests")
        patients = self._patients()
        asked = 0
        shown = {"training data": [one.measurements["bmi"] for one in patients]}
        for number, drifted in enumerate((False, True, True)):
            week = traffic.week_of(patients, ROWS, drifted=drifted, seed=number)
            log = self.place.logs / "requests.jsonl"
            before = log.read_bytes() if log.exists() else b""
            asked += traffic.ask(self.place.url, week)
            part = self.folder / "asked" / f"{number}.jsonl"
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(log.read_bytes()[len(before) :])
            lines = traffic.dated(part, WEEKS - number, self.logs / f"week-{number + 1}.jsonl")
            traffic.write_labels(lines, week, self.labels / f"week-{number + 1}.csv")
            name = f"week {number + 1}{', drifted' if drifted else ''}"
            shown[name] = [one.measurements["bmi"] for one in week]
        self.draw("weeks", "Body mass index, by weeks", pictures.histograms(shown, "kg/m²"))
        self.end(
            "answered",
            f"{asked} requests to the service, from its own log: one week as it was, then two in which patients"
            " are heavier and their weight counts more. The weeks are dated, not waited for.",
        )

    def _find_drift(self) -> int:
        """Run the monitoring, which finds drift and retrains; return the pull request's number."""
        self.begin("The weekly monitoring finds drift, and retrains")
        run = self.flow.scheduled("monitor.yml", self.folder / "artifacts" / "monitor")
        self.expect_success(run)
        judged = next((one for one in run.outputs.values() if "drift" in one), {})
        if judged.get("drift") != "true":
            raise ExternalError(f"the monitoring found no drift: {judged}")
        pulls = self.flow.open_pulls(MODEL)
        if len(pulls) != 1:
            raise ExternalError(f"retraining should have opened one pull request, not {pulls}")
        pages = sorted((self.folder / "artifacts" / "monitor").rglob("*.html"))
        self.hops[-1].report = self.relative(pages[0]) if pages else ""
        self.end(
            "drifted", f"{judged.get('summary', '')} Pull request {pulls[0]} proposes a new model."
        )
        return pulls[0]

    def _deploy_bad(self) -> None:
        """Merge what passes the gate and is slow in service: verification takes it back."""
        number = self._experiment(BAD, "A model that gets past the gate", self._make_slow)
        self.begin("It is merged, fails its verification, and is taken back")
        self._judge(number)
        run = self._merge(number)
        if run.status == 0:
            raise ExternalError("the slow service should have failed its verification")
        self.keep_run(run)
        self._show_latency(run, "the one that is slow")
        self._expect_status("failure")
        self._expect_version("v0.0.2")
        self.end("rolled back", self._status()["description"], deployed=self._deployed())

    def _refuse_while_held(self) -> None:
        self.begin(f"What mends it is proposed meanwhile ({MENDED})")
        self.flow.commit(MENDED, self._make_fast, "Ask nobody else")
        number = self.flow.open_pull_request(MENDED, "main", "Ask nobody else")
        run = self.flow.proposed(number)
        self.keep_run(run)
        reason = next((one for one in run.errors if "held" in one or "hold" in one), "")
        if run.status == 0 or not reason:
            raise ExternalError("a held environment should have refused the pull request")
        self.end("refused", reason.splitlines()[0])

    def _release(self) -> None:
        self.begin("Somebody releases the environment")
        run = self.flow.dispatched(
            "hold.yml", environment=PRODUCTION, operation="release", reason="The cause is known."
        )
        self.expect_success(run)
        self.end("released", "Production takes promotions again.")

    # --- parts of scenes ----------------------------------------------------------------------------

    def _experiment(self, branch: str, title: str, more: Any = None) -> int:
        self.begin(f"{title} ({branch})")
        self.head = branch

        def change(folder: Path) -> None:
            file = folder / "params.yaml"
            line = rf"\g<1> {EPOCHS[branch]}"
            text = re.sub(r"(?m)^(\s*epochs:)\s*\d+", line, file.read_text("utf-8"))
            file.write_text(text, encoding="utf-8")
            if more:
                more(folder)

        name = branch.partition("/")[2]
        self.flow.commit(branch, change, f"Try {name}")
        self.expect_success(self.flow.pushed(branch, "experiment.yml"))
        self.end("registered", f"{EPOCHS[branch]} epochs.")
        return self.flow.open_pull_request(branch, "main", f"Try {name}")

    def _promote(self, number: int, what: str, version: str) -> None:
        self.begin(f"Pull request {number}: {what} goes to production, and is verified")
        self._judge(number)
        run = self._merge(number)
        self.expect_success(run)
        self._show_latency(run, what)
        self._expect_status("success")
        self._expect_version(version)
        self.end("deployed", self._status()["description"], deployed=self._deployed())

    def _judge(self, number: int) -> None:
        say(f"promote.yml, for pull request {number}")
        self.expect_success(self.flow.proposed(number))
        comments = self.flow.comments(number)
        path = self.folder / "reports" / f"{number:02}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n\n".join(comments), encoding="utf-8")
        report, plots = report_pages.write_report(path, self.flow.forge.url, self.flow.bare(MODEL))
        self.hops[-1].report = self.relative(report)
        self.hops[-1].pictures = [{**one, "file": f"reports/{one['file']}"} for one in plots]

    def _merge(self, number: int) -> act.Run:
        self.flow.approve(number)
        self.flow.merge(number)
        say("deploy.yml, for its merge; verify.yml, for what runs then")
        return self.flow.pushed("main", "deploy.yml")

    def _ask_for_verification(self, folder: Path) -> None:
        """Edit what a team edits: where production answers, and what it must pass."""
        file = folder / "promotion.yaml"
        text = file.read_text("utf-8").replace(", deploy: pull-request", "")
        smoke = "tests/smoke.yaml"
        text += (
            "verify:\n"
            f"  url: {self.place.url}\n"
            f"  integration: {smoke}\n"
            f"  load: {{users: 10, rate: 10, time: 15s, failures: 1%, p95: {P95}ms}}\n"
            "  on-failure: rollback\n"
        )
        file.write_text(text, encoding="utf-8")

    def _make_slow(self, folder: Path) -> None:
        file = next(folder.glob("src/*/serve.py"))
        text = file.read_text("utf-8")
        line = "        (predictions,) = self.session.run("
        if text.count(line) != 1:
            raise ExternalError(f"{file} has not one line that asks the model")
        slow = f"        time.sleep({SLOW})  # a second opinion, from far away\n{line}"
        file.write_text(text.replace(line, slow), encoding="utf-8")

    def _make_fast(self, folder: Path) -> None:
        file = next(folder.glob("src/*/serve.py"))
        kept = [
            one for one in file.read_text("utf-8").splitlines(True) if "from far away" not in one
        ]
        file.write_text("".join(kept), encoding="utf-8")

    def _patients(self) -> list[Patient]:
        """Return the patients of the set that the template's first stage writes."""
        remote = self.flow.root / "remote"
        lock = document.load_yaml(
            self.flow.bare(MODEL).file_at("main", "dvc.lock") or "", source="dvc.lock"
        )
        (train,) = [
            one for one in lock["stages"]["prepare"]["outs"] if one["path"].endswith("train.csv")
        ]
        return traffic.read_patients(remote / "files/md5" / train["md5"][:2] / train["md5"][2:])

    @property
    def logs(self) -> Path:
        """Where the logs of all weeks are collected from."""
        return self.folder / "requests"

    @property
    def labels(self) -> Path:
        """Where the labels are."""
        return self.folder / "labels"

    # --- what is looked at ----------------------------------------------------------------------------

    def _status(self) -> dict[str, str]:
        """Return the commit status of what was merged last."""
        commit = self.flow.bare(MODEL).run("rev-parse", "main").strip()
        repository = self.flow.forge.state.find(MODEL)
        found = [
            one
            for one in (repository.statuses if repository else ())
            if one.sha == commit and one.context == f"model-gitops/{PRODUCTION}"
        ]
        if not found:
            return {"state": "", "description": ""}
        return {"state": found[-1].state, "description": found[-1].description or ""}

    def _show_latency(self, run: act.Run, what: str) -> None:
        """Draw the 95th percentile of each load test so far."""
        found = json.loads(run.outputs.get("Test the service", {}).get("results") or "{}")
        for row in found.get("rows", ()):
            if row["check"] == "load: p95" and row["measured"].endswith(" ms"):
                value = float(row["measured"].removesuffix(" ms").replace(",", ""))
                self.latencies.append((what, value))
        if self.latencies:
            name = f"latency-{len(self.latencies)}"
            svg = pictures.bars(self.latencies, P95, "ms")
            self.draw(name, "Under load: 95 of 100 answers took at most so long", svg)

    def _expect_status(self, state: str) -> None:
        status = self._status()
        if status["state"] != state:
            raise ExternalError(f"the commit status should be {state}, and is {status}")
        say(f"✓ commit status model-gitops/{PRODUCTION}: {status['description']}")

    def _expect_version(self, version: str) -> None:
        """Hold that the stage, the overlay and the running service all say `version`."""
        held = Tags.own(self.flow.bare(MODEL)).registry.stage("diabetes", PRODUCTION)
        view = json.loads(self.flow.ask("status", "--json"))
        (one,) = view["environments"]
        served = self._served()
        says = (held.version if held else "", one["version"], served)
        if set(says) != {version} or not view["in_sync"]:
            raise ExternalError(f"production should run {version}: {says}, {json.dumps(view)}")
        say(f"✓ stage, overlay and service say {version}")

    def _served(self) -> str:
        """Return the version that production's service says it is, as soon as it answers."""
        import urllib.request

        end = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.place.url}/version", timeout=5) as answer:  # noqa: S310
                    return str(json.load(answer)["version"])
            except (OSError, ValueError, KeyError) as error:
                if time.monotonic() > end:
                    raise ExternalError(f"production does not answer: {error}") from error
                time.sleep(0.5)

    def _deployed(self) -> str:
        return self.flow.bare(DEPLOY).run("rev-parse", "main").strip()

    def finish(self) -> dict[str, Any]:
        """Ask how the pipeline is, and write the page."""
        self.title("How well it went")
        health = self.flow.scheduled("health.yml", self.folder / "artifacts" / "health")
        self.keep_run(health, shown=False)
        versions = self._versions()
        self.result |= {
            "hops": [asdict(one) for one in self.hops],
            "ran": [
                {
                    "after": one.at - self.started,
                    "version": versions.get(one.image.rpartition("@")[2], "–"),
                    "image": one.image.rpartition("@")[2][:19],
                    "commit": one.commit,
                }
                for one in self.deployer.events
            ],
            "pictures": [
                {"title": "The pipeline's health, and its deliveries", "file": self.relative(one)}
                for one in sorted((self.folder / "artifacts" / "health").rglob("*.svg"))
            ],
            "seconds": time.monotonic() - self.started,
        }
        (self.folder / "index.html").write_bytes(page.html(self.result))
        (self.folder / "result.json").write_text(json.dumps(self.result, indent=2) + "\n", "utf-8")
        say(f"\n[{clock(time.monotonic() - self.started)}] done")
        say(f"  the story     {self.folder / 'index.html'}")
        return self.result

    def _versions(self) -> dict[str, str]:
        """Return the version of each digest that was deployed, by the deploy repository's trailers."""
        log = self.flow.bare(DEPLOY).run("log", "--format=%B%x00", "main")
        found = {}
        for message in log.split("\0"):
            digest = re.search(r"(?m)^Image-Digest: (\S+)$", message)
            version = re.search(r"(?m)^Model: \S+@(\S+)$", message)
            if digest and version:
                found[digest[1]] = version[1]
        return found


def run(folder: Path) -> None:
    """Tell the whole story in `folder`, which is made anew; all is stopped after it.

    Raises an ActionError where something does not happen as it should.
    """
    clean(folder)
    folder.mkdir(parents=True)
    started = time.monotonic()
    flow: Flow | None = None
    deployer: Deployer | None = None
    try:
        say(f"[{clock(0)}] Tools, Docker engine, registry, base image")
        here = machine.start(folder / "machine")
        flow = Flow(folder, parts_of(here, folder / "actions"), on_step=act.show_step)
        places = {
            PRODUCTION: Place(f"overlays/{PRODUCTION}", free_port(), folder / "live" / PRODUCTION)
        }
        deployer = Deployer(
            here.engine, here.tools["kustomize"], flow.bare(DEPLOY), places, folder / "live",
            on_sync=_say_synced,
        )  # fmt: skip
        life = Life(folder, flow, started, deployer=deployer)
        flow.variables |= {
            "MONITOR_LOGS": str(life.logs),
            "MONITOR_LABELS": str(life.labels),
            "MONITOR_RULE": RULE,
        }
        life.play()
        life.finish()
    finally:
        if deployer is not None:
            deployer.stop()
        if flow is not None:
            flow.stop()
        remove_engine(folder / "machine")
        machine.stop(folder / "machine")


def free_port() -> int:
    """Return a port on loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _say_synced(synced: Synced) -> None:
    say(f"  deployer: {synced.environment} runs {synced.image or 'nothing'}")
