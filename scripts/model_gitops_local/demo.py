"""`make demo`: two experiments; the better one reaches production, the worse one is refused.

On the way somebody who may push to the registry plants an image there, and it is deployed nowhere. The
deploy pull request is squash merged, and a change of the code is rolled back.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from model_gitops.adapters.gto_registry import Tags
from model_gitops.core import document
from model_gitops.errors import ExternalError
from model_gitops_local import act, demo_page, machine, planted_image, report_pages, serving
from model_gitops_local.engine import remove_engine
from model_gitops_local.flow import DEPLOY, MODEL, Flow, left_forge
from model_gitops_local.parts import first_parts_of

BETTER = "experiment/more-epochs"
WORSE = "experiment/too-few-epochs"
# What each experiment sets in params.yaml: `train.epochs`.
EPOCHS = {BETTER: 60, WORSE: 5}
SLOWER = "experiment/slower"
REASON = "Answers take too long."
# The step that builds, in promote.yml and in deploy.yml.
IMAGE = "Build, smoke-test and push the image"
REGISTER = "Register the model version"
RUNS_NOW = "What runs now?"


@dataclass
class Demo:
    """The demo's folder, and what happened in it."""

    folder: Path
    machine: Callable[[], machine.Machine]  # waits until all of it runs
    flow: Flow
    started: float = field(default_factory=time.monotonic)
    result: dict[str, Any] = field(default_factory=dict)
    reports: list[Path] = field(default_factory=list)
    hops: list[demo_page.Hop] = field(default_factory=list)
    began: float = 0

    def play(self) -> None:
        """Carry the better experiment to production, and the worse one as far as it gets."""
        self._title("Two repositories, from the templates")
        self.flow.create_repositories()
        _say(f"{MODEL} and {DEPLOY} at {self.flow.forge.url}")

        number = self._experiment(BETTER, "a better one")
        self._wait_for_docker()
        self._promote(number, BETTER, "main", "dev", planted=True)
        for head, base, environment in (
            ("main", "staging", "staging"),
            ("staging", "production", "production"),
        ):
            number = self.flow.open_pull_request(head, base, f"Promote {head} to {environment}")
            self._promote(number, head, base, environment)
        merged = ""
        for pull in self.flow.open_pulls(DEPLOY):
            self.flow.approve(pull, DEPLOY)
            # Nothing of the message is left, as in repositories that keep the title alone.
            merged = self.flow.merge(
                pull, DEPLOY, squash=f"Deploy diabetes to production (#{pull})"
            )
            _say(f"grace approved pull request {pull} of {DEPLOY}, ada squash merged it")
        _say("stages.yml, as each hour: production's stage says what runs now")
        self._expect_success(self.flow.scheduled("stages.yml"))
        self._expect_in_sync("the squash merge")
        self._end(
            "deployed", "Its deploy pull request was approved and squash merged.", deployed=merged
        )
        self._roll_back()

        number = self._experiment(WORSE, "a worse one")
        self._refuse(number, WORSE)

    def finish(self) -> dict[str, Any]:
        """Check what the flow left against its parts, ask production for an answer, and say so."""
        self._title("What runs where")
        environments = {name: self._environment(name) for name in ("dev", "staging", "production")}
        self._check_images(environments)
        self.result |= {
            "registry": self.flow.parts.registry,
            "environments": environments,
            "reports": [str(path) for path in self.reports],
            "hops": [asdict(hop) for hop in self.hops],
        }
        lineage = self._ask_what_is_live()
        request = act.ROOT / "templates" / "model" / "tests" / "smoke-request.json"
        answer = serving.ask(
            self.machine().engine, environments["production"]["image"], request.read_bytes()
        )
        _say(f"production answers a real request: {answer}")
        self.result |= {"answer": answer, "seconds": time.monotonic() - self.started}
        page = self.folder / "index.html"
        page.write_bytes(demo_page.html(self.result, lineage))
        (self.folder / "result.json").write_text(json.dumps(self.result, indent=2) + "\n", "utf-8")
        _say(f"\n[{clock(time.monotonic() - self.started)}] done")
        _say(f"  reports       {page}")
        _say(f"  repositories  {self.folder / 'git'}")
        _say(f"  result        {self.folder / 'result.json'}, trace.json, status.json")
        return self.result

    def _wait_for_docker(self) -> None:
        """Wait for what the first steps did not need, and was made while they ran."""
        if not self.flow.parts.base_image:
            self._title("Docker engine, its builder, base image")
            here = self.machine()
            self.flow.parts = replace(
                self.flow.parts,
                environment=machine.environment(here),
                base_image=here.base_image,
            )

    def _experiment(self, branch: str, kind: str) -> int:
        """Commit, push, run experiment.yml, open the pull request; return its number."""
        self._begin(f"Experiment: {kind} ({branch})")

        def change(folder: Path) -> None:
            file = folder / "params.yaml"
            line = rf"\g<1> {EPOCHS[branch]}"
            text, changes = re.subn(r"(?m)^(\s*epochs:).*$", line, file.read_text("utf-8"))
            if changes != 1:
                raise ExternalError(f"{file.name} has not one line with `epochs:`")
            file.write_text(text, encoding="utf-8")

        self.flow.commit(branch, change, f"Try {branch.partition('/')[2]}")
        _say(f"experiment.yml, for the push to {branch}")
        run = self.flow.pushed(branch, "experiment.yml")
        self._expect_success(run)
        version = run.outputs[REGISTER]["version"]
        self._end("registered", f"{EPOCHS[branch]} epochs: it is version {version} of the model.")
        return self.flow.open_pull_request(branch, "main", f"Try {branch.partition('/')[2]}")

    def _roll_back(self) -> None:
        """Deploy a change of the code to dev, and take that deployment back by `git revert`."""
        self._begin(f"A rollback of dev ({SLOWER})")

        def change(folder: Path) -> None:
            with (folder / "serving" / "uwsgi.ini").open("a", encoding="utf-8") as file:
                file.write("; a line that makes it slower\n")

        self.flow.commit(SLOWER, change, "Change how the model is served")
        number = self.flow.open_pull_request(SLOWER, "main", "Change how the model is served")
        self.flow.approve(number)
        self.flow.merge(number)
        _say(f"deploy.yml, for the merge of pull request {number} into main")
        self._expect_success(self.flow.pushed("main", "deploy.yml"))
        deployed = self.flow.bare(DEPLOY).run("rev-parse", "main").strip()
        made = self.flow.revert(deployed, REASON)
        _say(f"ada reverts {deployed[:12]} in {DEPLOY}: {REASON}")
        self.result["rolled_back"] = {"deployed": deployed, "by": made, "pull_request": number}
        self._expect_in_sync("the rollback")
        self._end("rolled back", REASON, deployed=made)

    def _expect_in_sync(self, after: str) -> None:
        """Ask what runs, and hold that it is what should; the answers are kept."""
        view = json.loads(self.flow.ask("status", "--json"))
        self.result.setdefault("views", {})[after] = view
        rows = [f"{one['name']} {one['version']}" for one in view["environments"]]
        if not view["in_sync"]:
            raise ExternalError(f"after {after} status says: {json.dumps(view)}")
        _say(f"✓ status, after {after}: {', '.join(rows)}")

    def _promote(
        self, number: int, head: str, base: str, environment: str, *, planted: bool = False
    ) -> None:
        self._begin(f"{head} → {base}")
        _say(f"promote.yml, for pull request {number} into {base}")
        proposed = self.flow.proposed(number)
        self._expect_success(proposed)
        self._keep_image(environment, "promote.yml", proposed)
        self._keep_report(number, environment)
        if planted:
            self._plant(proposed)
        self.flow.approve(number)
        self.flow.merge(number)
        _say(f"deploy.yml, for the merge of pull request {number} into {base}")
        merged = self.flow.pushed(base, "deploy.yml")
        self._expect_success(merged)
        self._keep_image(environment, "deploy.yml", merged)
        view = json.loads(merged.outputs[RUNS_NOW]["json"])["environments"][0]
        self.hops[-1].said = demo_page.in_words(view)
        _say(self.hops[-1].said)
        # A deployment that waits for a merge ends later.
        if view["version"]:
            self._end("deployed", deployed=view["deploy_commit"])

    def _refuse(self, number: int, branch: str) -> None:
        self._begin(f"{branch} → main")
        _say(f"promote.yml, for pull request {number} into main")
        run = self.flow.proposed(number)
        self._keep_run(run)
        self._keep_report(number, "refused")
        if run.status == 0 or run.failed_step != "Gate the metrics":
            raise ExternalError(
                f"{branch} should have been stopped by the gate, but "
                + (f"failed at {run.failed_step!r}" if run.status else "passed"),
                fix=f"read {self.flow.root / 'runs'}",
            )
        reason = next(text for text in run.errors if "gate refuses" in text)
        self.result["refused"] = [{"branch": branch, "reason": reason}]
        self._end("refused", reason.splitlines()[0])
        _say(f"refused, as it should be: {reason.splitlines()[0]}")

    def _plant(self, run: act.Run) -> None:
        """Play an attack: what will be built for dev has a fingerprint that anybody can compute.

        Mallory may push a branch, so workflows of hers may push images. One goes where a re-use by
        tags or labels would look: under the fingerprint, and under the rehearsal's own tag.
        """
        rehearsed = run.outputs[IMAGE]
        tags = [f"fp-{rehearsed['fingerprint']}", rehearsed["tag"], "main"]
        digest = planted_image.plant(self.flow.parts.registry, MODEL, rehearsed["tag"], tags)
        self.result["planted"] = {"digest": digest, "tags": tags}
        _say(
            f"mallory pushes another image, {digest[:19]}…, under the fingerprint of what main will be"
        )

    def _check_images(self, environments: dict[str, Any]) -> None:
        """Hold what runs to what the protected run built, and the planted image to nothing."""
        built = [one for one in self.result["images"] if one["workflow"] == "deploy.yml"]
        made = [(one["environment"], one["operation"]) for one in built]
        if made != [("dev", "built"), ("staging", "none"), ("production", "none")]:
            raise ExternalError(f"dev's image should have been built once, at the merge: {made}")
        digests = {one["digest"] for one in environments.values()}
        if digests != {built[0]["digest"]}:
            raise ExternalError(f"the environments run other images than dev's: {digests}")
        planted = self.result["planted"]["digest"]
        history = self.flow.bare(DEPLOY).run("log", "--all", "--patch", "--format=%B")
        if planted in digests or planted in history:
            raise ExternalError(f"the planted image {planted} was deployed")
        _say(f"one image, built at the merge into main: {built[0]['digest']}")
        _say(f"refused: the planted {planted} is in no overlay, and never was")

    def _expect_success(self, run: act.Run) -> None:
        self._keep_run(run)
        if run.status:
            errors = "\n".join(run.errors) or run.log[-3000:]
            raise ExternalError(
                f"a workflow of the demo failed at {run.failed_step!r}:\n{errors}",
                fix=f"read the newest log in {self.flow.root / 'runs'}",
            )

    def _keep_image(self, environment: str, workflow: str, run: act.Run) -> None:
        """Note whether a hop built its image, or took over the one that was there."""
        outputs = run.outputs.get(IMAGE, {})
        hop = {
            "environment": environment,
            "workflow": workflow,
            "operation": outputs.get("operation", "none"),
            "digest": outputs.get("digest", ""),
        }
        self.result.setdefault("images", []).append(hop)
        _say(
            "nothing was built"
            if hop["operation"] == "none"
            else f"the image was {hop['operation']}"
        )

    def _keep_report(self, number: int, name: str) -> None:
        comments = self.flow.comments(number)
        if not comments:
            raise ExternalError(f"pull request {number} got no report")
        path = self.folder / "reports" / f"{number:02}-{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n\n".join(comments), encoding="utf-8")
        page, pictures = report_pages.write_report(path, self.flow.forge.url, self.flow.bare(MODEL))
        self.reports += [path, page]
        hop = self.hops[-1]
        hop.report = self._relative(page)
        hop.pictures = [{**one, "file": f"{path.parent.name}/{one['file']}"} for one in pictures]

    def _ask_what_is_live(self) -> Any:
        """Show status and lineage as a person in a clone sees them, and keep both as JSON."""
        status, trace = ("status",), ("trace-model", "--subject", "production")
        commands = (status, trace, (*status, "--json"), (*trace, "--json"))
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda command: self.flow.ask(*command), commands))
        _say("\n".join(answers[:2]))
        for name, answer in zip(("status.json", "trace.json"), answers[2:], strict=True):
            (self.folder / name).write_text(answer, encoding="utf-8")
        return json.loads(answers[3])

    def _environment(self, name: str) -> dict[str, Any]:
        """Read one environment from its sources: the deploy repository, Git's tags, the registry."""
        deploy, model = self.flow.bare(DEPLOY), self.flow.bare(MODEL)
        overlay = f"overlays/{name}/kustomization.yaml"
        text = deploy.file_at("main", overlay) or ""
        entry = document.load_yaml(text, source=overlay)["images"][0]
        commits = deploy.run("log", "--format=%H", "main", "--", overlay).split()
        taken_back = self.result["rolled_back"]
        commit = next(
            one for one in commits if one not in (taken_back["deployed"], taken_back["by"])
        )
        version = Tags.own(model).registry.stage("diabetes", name)
        if version is None:
            raise ExternalError(f"no version holds the stage {name}")
        metrics = json.loads(model.file_at(version.commit, "eval/metrics.json") or "{}")
        return {
            "version": version.version,
            "image": f"{entry['newName']}:{entry['newTag']}@{entry['digest']}",
            "digest": entry["digest"],
            "deploy_commit": commit,
            "metrics": metrics,
        }

    def _begin(self, title: str) -> None:
        self._title(title)
        self.hops.append(demo_page.Hop(title))
        self.began = time.monotonic()

    def _end(self, outcome: str, said: str = "", *, deployed: str = "") -> None:
        """Note how the hop ended: with `deployed`, a commit of the deploy repository."""
        hop = self.hops[-1]
        hop.outcome, hop.said = outcome, said or hop.said
        hop.seconds = time.monotonic() - self.began
        if deployed:
            hop.commit = deployed
            hop.diff = self.flow.bare(DEPLOY).run("show", "--format=%B", "--patch", deployed)
        _say(f"{outcome}, in {demo_page.spell(hop.seconds)}")

    def _keep_run(self, run: act.Run) -> None:
        self.hops[-1].runs.append(
            {
                "workflow": run.workflow,
                "seconds": run.seconds,
                "log": self._relative(run.log_file),
            }
        )
        _say(f"  {run.workflow} took {demo_page.spell(run.seconds)}")

    def _relative(self, path: Path) -> str:
        return path.resolve().relative_to(self.folder.resolve()).as_posix()

    def _title(self, text: str) -> None:
        _say(f"\n[{clock(time.monotonic() - self.started)}] {text}")


def clock(seconds: float) -> str:
    """Write how long something took as minutes and whole seconds: `09:59`, then `10:00`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02}:{rest:02}"


def run(folder: Path, *, keep: bool) -> None:
    """Play the whole demo in `folder`, which is made anew.

    With `keep` the registry and the forge are left running; else all is stopped, and
    what was written stays. Raises an ActionError where the flow does not do what it should.
    """
    clean(folder)
    folder.mkdir(parents=True)
    started = time.monotonic()
    flow: Flow | None = None
    kept = False
    try:
        _say(f"[{clock(0)}] Tools, registry; Docker engine and base image beside the first steps")
        with machine.Starting(folder / "machine") as starting:
            parts = first_parts_of(starting, folder / "actions")
            flow = Flow(folder, parts, on_step=act.show_step)
            demo = Demo(folder, starting.machine, flow, started)
            demo.play()
            demo.finish()
        kept = keep
    finally:
        if flow is not None:
            flow.stop()
        # Its data are large, and the images are in the registry.
        remove_engine(folder / "machine")
        if not kept:
            machine.stop(folder / "machine")
    if kept:
        _say(f"  forge         {flow.leave()}")
        _say(f"  registry      http://{parts.registry}/v2/_catalog")
        _say("  to stop them  make demo-clean")


def clean(folder: Path) -> None:
    """Stop what a demo left running, and remove its folder."""
    if folder.exists():
        left_forge(folder).stop()
        machine.remove(folder / "machine")
        shutil.rmtree(folder)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
