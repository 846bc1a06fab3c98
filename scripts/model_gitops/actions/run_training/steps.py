"""What the action does, in order: which images, which run, how it ended, and where that is written."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from model_gitops import runner
from model_gitops.actions.run_training import OUTPUTS, engines
from model_gitops.actions.run_training.inputs import Inputs
from model_gitops.adapters import commit_statuses, git, promotion_file, training_overlay
from model_gitops.adapters.github_client import Client
from model_gitops.adapters.tracing.overlays import Overlays
from model_gitops.adapters.tracing.places import opened_overlays
from model_gitops.adapters.training_engines import Engine, waiting
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.flow.training import Training
from model_gitops.core.line import plain, shortened
from model_gitops.core.markdown import code, escape
from model_gitops.core.training import evidence
from model_gitops.core.training.evidence import Verdict, Wanted
from model_gitops.core.training.runs import Run, State
from model_gitops.errors import ActionError, ExternalError, InputError, RefusedError


@dataclass
class _Status:
    """The commit status of one environment's training. Without a token nothing is read or written."""

    api: Client | None
    context: str
    asked: Wanted
    _known: list[commit_statuses.CommitStatus | None] = field(default_factory=list)

    def replaced(self) -> None:
        """Say that these images never trained: the overlay has others by now."""
        if self.api:
            said = evidence.described(self.asked, None, "replaced")
            commit_statuses.write(self.api, self.asked.commit, self.context, "pending", said, "")

    def latest(self) -> commit_statuses.CommitStatus | None:
        if not self._known and self.api:
            self._known = [commit_statuses.latest(self.api, self.asked.commit, self.context)]
        return self._known[0] if self._known else None

    def stopped(self, why: str) -> None:
        """Say that nobody waits any more, and why, where that can be written."""
        try:
            self.write("error", None, why)
        except ActionError as error:
            runner.warning(f"the commit status {self.context} stays as it was: {error.message}")

    def write(self, verdict: Verdict, run: Run | None, why: str = "") -> None:
        """Write what is known now, where that is new; `why` is what ended the wait, where no run did."""
        if self.api is None:
            return
        said = evidence.described(self.asked, run, verdict, why)
        context = runner.context()
        url = (run.url if run else "") or (context.run_url if context.repository else "")
        known, cut = self.latest(), shortened(said, commit_statuses.LONGEST)
        if known and (known.state, known.target_url, known.description) == (verdict, url, cut):
            return
        stays = known and known.state in ("success", "failure", verdict)
        if known and stays and not run and evidence.says_images(self.asked, known.description):
            return  # how these images did stays, until another run has ended
        commit_statuses.write(self.api, self.asked.commit, self.context, verdict, said, url)
        self._known = []


def run(inputs: Inputs) -> None:
    """Do the operation. Raises RefusedError where a run failed or is not there, ExternalError else."""
    runner.check_outputs()
    repository = git.open_repository(Path.cwd())
    promotion = _rules(inputs, repository)
    training = promotion.training
    if training is None:
        said = f"{inputs.config} has no `training`, so there is no training pipeline"
        runner.notice(said)
        runner.write_outputs({**dict.fromkeys(OUTPUTS, ""), "operation": "none"})
        runner.write_summary(f"### Nothing is trained\n\n{escape(said)}.\n")
        return
    if inputs.environment not in training.environments:
        raise InputError.of(
            "environment", inputs.environment,
            f"promotion.yaml trains in {', '.join(training.environments)}",
            fix=f"environment: {training.environments[0]}",
        )  # fmt: skip
    engine = engines.opened(inputs, training)
    if engine is None:
        _refuse_nobody(inputs, training)
    api = commit_statuses.opened(repository, inputs.source_token) if inputs.source_token else None
    context = commit_statuses.context_of(f"training-{inputs.environment}", promotion.model)

    def status() -> _Status:
        return _Status(api, context, _asked(inputs, repository, promotion, training))

    if engine is None:
        _believe(inputs, status())
    elif inputs.operation == "run":
        _run(inputs, engine, status, lambda one: _had(inputs, repository, promotion, training, one))
    else:
        _check(engine, status().asked)


def _refuse_nobody(inputs: Inputs, training: Training) -> None:
    """Raise InputError where no engine is given, and the operation needs one or a commit status."""
    if inputs.operation == "run":
        wanted, fix = (
            ("no `kubeflow-server`", "kubeflow-server: https://kubeflow.example.com/pipeline")
            if training.engine == "kubeflow"
            else (
                "neither `argo-server` nor `kubeconfig`",
                "argo-server: https://argo.example.com, and argo-token: ${{ secrets.ARGO_TOKEN }}",
            )
        )
        raise InputError(
            f"nobody can be asked to run the training pipeline of {inputs.environment}: there is {wanted}",
            fix=fix,
        )
    if not inputs.source_token:
        raise InputError(
            f"nobody can be asked whether the training pipeline of {inputs.environment} ended well: there is no"
            " engine, and `source-token` is empty",
            fix="source-token: ${{ github.token }}, in a job with `statuses: read`",
        )


def _rules(inputs: Inputs, repository: git.Git) -> Promotion:
    """Return promotion.yaml as the first environment's branch has it, which the images are built of."""
    path = promotion_file.place(inputs.config)
    own = promotion_file.read_promotion(path, repository)
    base = own.environments[0].branch
    return promotion_file.read_rules(path, repository, base=base, is_change=True).promotion


def _overlays(
    inputs: Inputs, repository: git.Git, promotion: Promotion
) -> AbstractContextManager[Overlays]:
    return opened_overlays(
        promotion, repository, inputs.token, inputs.ssh_key, inputs.deploy_branch, inputs.known_hosts,
        with_pulls=True,
    )  # fmt: skip


def _had(
    inputs: Inputs,
    repository: git.Git,
    promotion: Promotion,
    training: Training,
    images: Sequence[str],
) -> bool:
    with _overlays(inputs, repository, promotion) as overlays:
        return training_overlay.had(overlays, training, inputs.environment, images)


def _asked(inputs: Inputs, repository: git.Git, promotion: Promotion, training: Training) -> Wanted:
    with (
        runner.group(f"Asking which images the training of {inputs.environment} has"),
        _overlays(inputs, repository, promotion) as overlays,
    ):
        found = training_overlay.read(overlays, training, inputs.environment)
        for image in found.images:
            runner.say(f"{image.name}: {image.reference}")
        return found


def _run(
    inputs: Inputs,
    engine: Engine,
    read: Callable[[], _Status],
    had: Callable[[Sequence[str]], bool],
) -> None:
    """Train with what the overlay has. `read` asks for it: once more where it has other images by now.

    `had` tells whether it had some images before: a pipeline that was compiled of those came too late.
    """
    end = time.monotonic() + inputs.timeout
    status = read()
    if status.api is None:
        runner.notice("without `source-token` no commit status is written")
    while True:
        asked = status.asked
        status.write("pending", None)
        try:
            found = waiting.run(
                engine, asked, inputs.parameters, again=inputs.again,
                timeout=max(end - time.monotonic(), 1.0),
                is_wanted=lambda key=asked.key: read().asked.key == key,  # type: ignore[misc]
            )  # fmt: skip
        except ActionError as error:
            if isinstance(error, waiting.OtherImages) and had(error.images):
                said = f"{asked.path} has other images since the pipeline was compiled"
                runner.notice(f"{said}: the run of their own deployment trains with those")
                _tell(asked, waiting.Outcome("superseded", None, said), "pending")
                return
            status.stopped(error.message)
            _tell(asked, waiting.Outcome("none", None, error.message), "error")
            raise
        if not found.is_replaced:
            break
        runner.notice(
            f"{asked.path} has other images by now, and the pipeline never had those of"
            f" {asked.commit[:12]}: this run goes on with the newer ones"
        )
        status.replaced()
        status = read()
    verdict = evidence.VERDICTS[found.run.state if found.run else State.WAITS]
    status.write(verdict, found.run)
    _tell(asked, found, verdict)
    what = f"the training pipeline of {asked.environment} with the images {asked.key}"
    if verdict == "failure" and found.run:
        raise RefusedError(
            f"{what} failed in the run {found.run.name}: {found.run.reason}",
            fix=f"look at {found.run.url or found.run.name}, mend it and deploy again; `again: true` starts"
            " another run of the same images",
        )
    if verdict == "error" and found.run:
        raise ExternalError(
            f"{what} ended by an error of {engine.name} in the run {found.run.name}: {found.run.reason}",
            fix="mend what it says, and give `again: true` to start another run",
        )
    if verdict == "pending":
        raise ExternalError(
            f"{what} has not ended within `timeout`: {found.said or 'nobody says why'}",
            fix="run this job again: it goes on where it was; or give a longer `timeout`",
        )


def _check(engine: Engine, asked: Wanted) -> None:
    found = waiting.look(engine, asked)
    if found.run is None:
        found = replace(found, said=f"{engine.name} knows no run of them")
        _tell(asked, found, "pending")
        raise _no_evidence(asked, found.said)
    verdict = evidence.VERDICTS[found.run.state]
    _tell(asked, found, verdict)
    if verdict != "success":
        why = f"the run {found.run.name} {found.run.state.value}"
        raise _no_evidence(asked, why if verdict == "pending" else f"{why}: {found.run.reason}")


def _believe(inputs: Inputs, status: _Status) -> None:
    """Take the commit status for evidence: it is as good as who may write one."""
    asked, known = status.asked, status.latest()
    if known is None:
        why = f"the commit {asked.commit[:12]} has no status {status.context}"
        _tell(asked, waiting.Outcome("none", None, why), "pending")
        raise _no_evidence(asked, why)
    said = f"{plain(known.description)}; {plain(known.target_url)}"
    wrong, verdict = "", "pending"
    if not evidence.says_images(asked, known.description):
        wrong = f"the status is of other images: {said}"
    elif inputs.writer and known.creator.lower() != inputs.writer.lower():
        wrong = f"the status was written by {plain(known.creator) or 'nobody'}, and not by {inputs.writer}"
    elif known.state != "success":
        wrong = f"the status is {plain(known.state)}: {said}"
        verdict = known.state
    if wrong:
        _tell(asked, waiting.Outcome("none", None, wrong), evidence.verdict_of(verdict))
        raise _no_evidence(asked, wrong)
    run_found = Run(
        name=known.target_url.rpartition("/")[2], state=State.SUCCEEDED, url=known.target_url
    )
    _tell(asked, waiting.Outcome("found", run_found), "success")


def _no_evidence(asked: Wanted, why: str) -> RefusedError:
    return RefusedError(
        f"nothing says that the images {asked.key} of the training pipeline of {asked.environment} train well:"
        f" {why}",
        fix=f"run-training with operation: run and environment: {asked.environment}; its run must end well",
    )


def _tell(asked: Wanted, found: waiting.Outcome, verdict: Verdict) -> None:
    """Write outputs and summary. Without evidence no images are handed on."""
    run_found = found.run
    reason = "" if verdict == "success" else found.said
    if run_found and run_found.state in (State.FAILED, State.ERROR):
        reason = run_found.reason
    runner.write_outputs(
        {
            "operation": found.operation,
            "state": verdict,
            "run": run_found.name if run_found else "",
            "url": run_found.url if run_found else "",
            "images": asked.lines if verdict == "success" else "",
            "commit": asked.commit,
            "reason": reason,
        }
    )
    rows = [f"| {escape(one.name)} | {code(one.reference)} |" for one in asked.images]
    steps = [
        f"| {escape(one.name)} | {escape(one.state)} | {escape(one.message)} |"
        for one in (run_found.steps if run_found else ())
    ]
    lines = [
        f"### Training in {escape(asked.environment)}: {verdict}",
        "",
        f"Run {_linked(run_found)}" if run_found else "There is no run.",
        *(["", escape(reason)] if reason else []),
        "",
        "| image | reference |",
        "|---|---|",
        *rows,
        *(["", "| step | state | message |", "|---|---|---|", *steps] if steps else []),
        "",
    ]
    runner.write_summary("\n".join(lines))


def _linked(found: Run) -> str:
    """Return a run's name, as a link where its address is one that Markdown takes as it is."""
    is_plain = re.fullmatch(r"https?://[A-Za-z0-9._:/%-]+", found.url)
    return f"[{code(found.name)}]({found.url})" if is_plain else code(found.name)
