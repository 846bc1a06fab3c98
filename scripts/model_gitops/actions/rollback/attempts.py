"""One attempt of a rollback: fetch, decide, write, push; and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from model_gitops import runner
from model_gitops.actions.rollback.past import Past, State, Verifications, chosen, is_done
from model_gitops.adapters import github
from model_gitops.adapters.deploy_proposal import Proposal, find, propose
from model_gitops.adapters.deploy_store import DeployFile, KustomizationFile, ProtectedError
from model_gitops.core.deploy import deployment, hold, kustomization, kustomization_edit, rollback
from model_gitops.core.deploy.hold import Hold
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.rollback import Asked, Target
from model_gitops.core.deploy.trailers import Trailers
from model_gitops.errors import ExternalError, InputError

_PROTECTED = (
    "the branch is protected: give `token`, with which a pull request is opened, or let the account or"
    " deploy key bypass the rule"
)


@dataclass(frozen=True)
class Result:
    """What was decided and done.

    `version` is the one that the environment runs now, or will after the merge of the pull request, and
    `previous` what it ran before. `said` is the sentence of `status`, and `hold` the one that was written.
    """

    operation: str
    version: str
    previous: str
    image: Image
    commit: str
    said: str
    pull_request: str = ""
    hold: Hold | None = None


@dataclass
class Attempts:
    """The rollback that was asked for, tried until no other writer is first.

    Which version comes back is decided once, by what ran when it was asked for: a promotion that lands
    meanwhile is taken back, too, unless an image was named that is to go.
    """

    past: Past
    asked: Asked
    since: datetime
    until: datetime | None
    server_url: str
    # For the pull request, where the environment wants one.
    api: github.GitHub | None = None
    verifications: Verifications = field(default_factory=Verifications)
    target: Target | None = None

    def once(self) -> Result:
        """Fetch, decide, write, push: once. Raises LostRace, RefusedError, InputError, ExternalError."""
        past, asked = self.past, self.asked
        state = past.read()
        if asked.digest and state.entry.digest != asked.digest:
            runner.notice(
                f"{asked.environment} runs {state.name or 'nothing'}, and not the image that was to go",
                title="nothing to roll back",
            )
            return _nothing(state)
        # Asked at each attempt: another rollback may have been first, with another version in mind.
        if why := is_done(past, state, asked):
            runner.notice(why, title="nothing to roll back")
            return _nothing(state)
        if self.target is None:
            self.target = chosen(past, state, asked, self.verifications)
        target = self.target
        wanted = replace(target.image, name=state.entry.name)
        entries = kustomization.read(state.file.text, source=state.file.path)
        artifact = rollback.artifact(asked, target, state.entry.name, entries)
        images = (wanted, artifact) if artifact else (wanted,)
        text = kustomization_edit.edit(state.file.text, images, source=state.file.path)
        if text == state.file.text:
            return _nothing(state)
        reached = rollback.reached(past.told(state), past.model)
        trailers = rollback.trailers(asked, target, state.name, reached)
        held = self._hold(state)
        files = (
            KustomizationFile(state.file.path, state.file.mode, text),
            DeployFile(hold.path_of(past.folder), hold.write(held)),
        )
        message = deployment.commit_message(rollback.subject(asked, target), "", trailers)
        commit = partial(past.repository.commit, state.tip, *files, message=message)
        result = Result(
            "pushed",
            target.version,
            state.name,
            state.entry.changed_to(wanted),
            "",
            rollback.sentence(asked, target, state.name),
            hold=held,
        )
        if past.environment.deploy == "push":
            made = commit()
            try:
                past.repository.push(made, past.overlays.branch)
            except ProtectedError as error:
                if self.api is None:
                    raise ExternalError(error.message, fix=_PROTECTED) from error
                runner.notice(
                    f"{past.overlays.branch} of {past.repository.url} takes no push: a pull request is"
                    " opened"
                )
            else:
                return replace(result, commit=made)
        head = deployment.branch_name(past.folder, (wanted,), past.overlays.branch, "rollback")
        done = propose(
            past.repository,
            self._server(),
            find(past.repository, self._server(), head, past.overlays.branch),
            Proposal(rollback.subject(asked, target), self._body(state, result, trailers), commit),
            holds=lambda tip: self._holds(tip, state, files[0], message),
        )
        return replace(result, operation=done.operation, commit=done.commit, pull_request=done.url)

    def _server(self) -> github.GitHub:
        if self.api is None:
            raise InputError(
                f"input `token` is empty, and {self.asked.environment} is deployed to by pull requests: one"
                " is opened through the server's API",
                fix="token: ${{ secrets.DEPLOY_TOKEN }}, or on a command line export MODEL_GITOPS_TOKEN",
            )
        return self.api

    def _hold(self, state: State) -> Hold:
        """Return the hold that the rollback leaves. Of somebody else's that is there nothing is lost."""
        reason = f"rolled back from {state.name or 'what ran'}"
        reason += f": {self.asked.reason}" if self.asked.reason else ""
        wanted = Hold(reason, self.asked.by, self.since, self.until, self.asked.run)
        before = self.past.repository.hold_at(state.tip, self.past.folder)
        return hold.set_to(before, wanted, self.since).hold or wanted

    def _holds(self, tip: str, state: State, file: KustomizationFile, message: str) -> bool:
        """Whether our branch is one commit on the base that says and sets just this."""
        repository = self.past.repository
        if repository.parents(tip) != [state.tip]:
            return False
        if _without_run(repository.message(tip)) != _without_run(message):
            return False
        try:
            return repository.read_kustomization(tip, self.past.folder) == file
        except InputError:
            return False

    def _body(self, state: State, result: Result, trailers: Trailers) -> str:
        table = deployment.pull_request_body(
            (state.entry,), (result.image,), trailers,
            path=self.past.folder, server_url=self.server_url,
        )  # fmt: skip
        return f"{rollback.merge_text(self.asked, result.said)}\n\n{table}"


def _without_run(message: str) -> str:
    """Return the message without the run that wrote it: another one may find it as it should be."""
    lines = message.splitlines()
    return "\n".join(one for one in lines if not one.startswith("Rollback-Run: "))


def _nothing(state: State) -> Result:
    """Return that nothing was written: it is so already."""
    back = state.back
    previous = (back.version or back.image.reference) if back else ""
    said = f"{state.name}, {back.sentence}" if back else state.name
    return Result("none", state.version, previous, state.entry, state.tip, said)
