"""A person's own repository on this machine: its workflows run here, before the first push.

Servers and runs are in `.git/model-gitops-local` of the clone. The servers have the clone's branches,
each with one commit more, which names this machine's registry and DVC remote: the clone, its deploy
repository and their remotes are only read.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from github import GithubException

from model_gitops.adapters import git as git_adapter
from model_gitops.adapters import promotion_file
from model_gitops.adapters.git import Git
from model_gitops.core import document
from model_gitops.core.flow.promotion import Promotion
from model_gitops.errors import InputError, RefusedError
from model_gitops.runner import say
from model_gitops_local import act, machine, report_pages
from model_gitops_local.daemon import free_port, remove_tree, try_locked
from model_gitops_local.flow import Flow, left_forge
from model_gitops_local.parts import parts_of

STATE = "model-gitops-local"
_WORKFLOWS = ".github/workflows"
# What names the image: in the model repository, and in the deploy repository.
_NAMES_IMAGE = re.compile(r"(?:.*/)?(?:promotion|kustomization)\.ya?ml")
_LOCAL_COMMIT = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "model-gitops local"),
        ("EMAIL", "local@localhost"),
        # The same content is the same commit, on every branch and in every run.
        ("DATE", "1700000000 +0000"),
    )
}


@dataclass
class Project:
    """A clone with promotion.yaml, its deploy repository's clone, and the folder of their servers."""

    clone: Git
    deploy: Git
    promotion: Promotion
    state: Path

    @classmethod
    def of(cls, repository: Path, deploy: Path | None) -> Project:
        """Find what belongs together. Raises InputError with what is missing."""
        clone = _repository("repository", repository)
        file = clone.directory / "promotion.yaml"
        if not file.is_file():
            raise InputError.of(
                "repository",
                str(repository),
                "it has no promotion.yaml at its top",
                fix="model-gitops init makes a repository that has one, adopt adds one",
            )
        promotion = promotion_file.read_promotion(file, clone)
        name = promotion.deploy_repository
        if not name:
            raise InputError(
                "promotion.yaml names no deploy repository, so nothing can be deployed",
                fix="deploy: {repository: OWNER/NAME}",
            )
        state = Path(clone.run("rev-parse", "--path-format=absolute", "--git-common-dir").strip())
        state /= STATE
        known = _noted(state).get("deploy", "")
        folder = deploy or (Path(known) if known else None)
        beside = clone.directory.parent / name.rpartition("/")[2]
        # `init` names it for the model repository's folder.
        after = clone.directory.with_name(f"{clone.directory.name}-deploy")
        folder = folder or (beside if beside.is_dir() or not after.is_dir() else after)
        if not folder.is_dir():
            raise InputError.of(
                "deploy",
                str(deploy or ""),
                f"there is no clone of {name} in {folder}",
                fix=f"--deploy FOLDER, where {name} is",
            )
        return cls(clone, _repository("deploy", folder), promotion, state)

    @property
    def name(self) -> str:
        """`owner/name` of the model repository: its remote's, else one beside the deploy repository."""
        url = self.clone.run("config", "--get", "remote.origin.url", check=False).strip()
        found = re.search(r"(?a)(?:^|[/:])([\w.-]+/[\w.-]+?)(?:\.git)?/?$", url)
        if found and not Path(url).is_absolute():
            return found[1]
        # A folder may have any name. In a repository's, the server puts "-" for other characters.
        name = re.sub(r"(?a)[^\w.-]+", "-", self.clone.directory.name)
        return f"{self.promotion.deploy_repository.partition('/')[0]}/{name}"

    def start(self) -> None:
        """Start the servers that do not run, and give them what they do not have."""
        with self._servers() as flow:
            self._push(flow)
        say(self.told())

    def run(self, workflow: str, *, head: str = "", base: str = "", branch: str = "") -> int:
        """Run one workflow for a push to `branch`, or a pull request from `head` into `base`.

        One that runs only on a push merges that pull request before it. Returns 0, or 1 where the
        workflow failed. Raises InputError for what is not there.
        """
        if bool(branch) == bool(head and base) or (bool(head) != bool(base)):
            raise InputError(
                "a run is for a push, or for a pull request",
                fix="--branch BRANCH, or --head BRANCH --base BRANCH",
            )
        for option, value in (("head", head), ("base", base), ("branch", branch)):
            if value and not self._place_of(value):
                raise InputError.of(
                    option,
                    value,
                    f"{self.clone.directory} has no branch of this name",
                    fix=f"git branch {value}",
                )
        workflow = workflow.removeprefix(f"{_WORKFLOWS}/")
        on = self._events(workflow, branch or head)
        wanted = "push" if branch or "pull_request" not in on else "pull_request"
        if wanted not in on:
            raise InputError.of(
                "WORKFLOW", workflow, f"it does not run on `{wanted}`, but on {', '.join(on)}"
            )
        with self._servers() as flow:
            self._push(flow)
            if branch:
                return self._told_of(flow, flow.pushed(branch, workflow))
            theirs, ours = (f"refs/heads/{one}" for one in (head, base))
            # Typed again: the pull request was merged already.
            merged = flow.bare(flow.model).is_ancestor(theirs, ours)
            if merged and wanted == "pull_request":
                raise RefusedError(
                    f"{base} has all commits of {head}, so there is nothing to promote",
                    fix=f"commit on {head} first",
                )
            if merged:
                say(f"{base} has all commits of {head}: nothing to merge")
                return self._told_of(flow, flow.pushed(base, workflow))
            number, action = flow.pull_request_of(head, base)
            if wanted == "pull_request":
                return self._told_of(flow, flow.proposed(number, workflow, action=action), number)
            _merge(flow, number, flow.model)
            say(f"pull request {number}, {head} → {base}: approved and merged")
            return self._told_of(flow, flow.pushed(base, workflow))

    def merge_deployments(self) -> None:
        """Approve and merge the deploy repository's open pull requests."""
        with self._servers() as flow:
            pulls = flow.open_pulls(flow.deploy)
            for number in pulls:
                _merge(flow, number, flow.deploy)
            merged = ", ".join(map(str, pulls)) or "none is open"
            say(f"pull requests of {flow.deploy} that were merged: {merged}")

    def told(self) -> str:
        """Say what is where."""
        if not self.state.exists():
            return "nothing runs here: `local start` starts it"
        here = "stopped; `local start` starts it"
        forge = f"http://127.0.0.1:{_noted(self.state).get('port')}"
        with try_locked(self.state / "lock") as free:
            if not free:
                forge += ", in use by a `local` command"
            elif left_forge(self.state).pid() is None:
                forge = here
        registry = machine.registry_of(self.state / "machine")
        return "\n".join(
            [
                f"forge         {forge}",
                f"registry      {f'http://{registry}/v2/_catalog' if registry else here}",
                f"model         {self.name}: {self.state / 'git' / 'model.git'}",
                f"deploy        {self.promotion.deploy_repository}: {self.state / 'git' / 'deploy.git'}",
                f"DVC remote    {self.state / 'remote'}",
                f"logs, reports {self.state / 'runs'}, {self.state / 'reports'}",
            ]
        )

    @contextlib.contextmanager
    def _servers(self) -> Iterator[Flow]:
        """Have the servers for one command; they are left running. Raises RefusedError: in use."""
        with try_locked(self.state / "lock") as free:
            if not free:
                raise RefusedError(
                    f"another `local` command uses {self.state}",
                    fix="wait until it ends; a run that was killed leaves nothing locked",
                )
            here = machine.start(self.state / "machine")
            left = left_forge(self.state)
            known = _noted(self.state)
            left.stop()
            flow = Flow(
                self.state,
                parts_of(here, self.state / "actions"),
                on_step=act.show_step,
                port=free_port(int(known.get("port", "0"))),
                model=self.name,
                deploy=self.promotion.deploy_repository,
                runs=len(list((self.state / "runs").glob("*.log"))),
            )
            noted = {"port": str(flow.forge.port), "deploy": str(self.deploy.directory)}
            (self.state / "project.json").write_text(json.dumps(noted), encoding="utf-8")
            try:
                yield flow
            finally:
                flow.leave()

    def _push(self, flow: Flow) -> None:
        """Give the servers the branches of both clones that they do not have yet."""
        for clone, name in ((self.clone, flow.model), (self.deploy, flow.deploy)):
            default = clone.run("branch", "--show-current").strip() or "main"
            if name == flow.model:
                default = self.promotion.environments[0].branch
            bare = flow.add_bare(name, default)
            bare.run("fetch", "--quiet", clone.directory.as_uri(), "+refs/heads/*:refs/of-the-clone/*",
                     "refs/tags/*:refs/tags/*")  # fmt: skip
            kept = {one.branch for one in self.promotion.environments}
            for line in bare.run(
                "for-each-ref", "--format=%(refname)", "refs/of-the-clone"
            ).split():
                self._push_branch(flow, bare, line, kept if name == flow.model else {default})

        first, *later = (one.branch for one in self.promotion.environments)
        bare = flow.bare(flow.model)
        for branch in later:  # a new repository has none of them yet
            if bare.commit_of(f"refs/heads/{branch}") is None:
                bare.run("update-ref", f"refs/heads/{branch}", f"refs/heads/{first}")
        # What the clone has in its cache, a run can pull, as if somebody had pushed it.
        cache = self.clone.directory / ".dvc" / "cache" / "files"
        if cache.is_dir():
            shutil.copytree(
                cache, flow.root / "remote" / "files", dirs_exist_ok=True, copy_function=_copy_new
            )

    def _push_branch(self, flow: Flow, bare: Git, ref: str, kept: set[str]) -> None:
        branch = ref.removeprefix("refs/of-the-clone/")
        theirs = bare.commit_of(f"refs/heads/{branch}")
        if theirs and bare.is_ancestor(ref, theirs):
            return
        if theirs and branch in kept:
            raise RefusedError(
                f"{branch} of this clone has commits that the servers' {branch} does not have, which"
                " changes by pull requests only",
                fix="local stop, then local start: they begin anew",
            )
        made = self._with_local_names(flow, bare, ref)
        bare.run("update-ref", f"refs/heads/{branch}", made)
        if theirs:
            say(f"{branch}: taken from this clone again, with its new commits")

    def _with_local_names(self, flow: Flow, bare: Git, ref: str) -> str:
        """Commit on top of `ref` what names this machine's registry and remote; return the commit."""
        work = flow.root / "new" / "names"
        shutil.rmtree(work, ignore_errors=True)
        git = Git(work)
        work.mkdir(parents=True)
        git.run("init", "--quiet")
        git.run("fetch", "--quiet", bare.directory.as_uri(), ref)
        git.run("checkout", "--quiet", "--detach", "FETCH_HEAD")
        image = self.promotion.image
        local = f"{flow.parts.registry}/{image.partition('/')[2]}"
        for name in git.run("ls-files", "-z").split("\0"):
            file = work / name
            if _NAMES_IMAGE.fullmatch(name) and file.is_file() and not file.is_symlink():
                text = file.read_text(encoding="utf-8")
                file.write_text(text.replace(image, local), encoding="utf-8")
        flow.use_own_remote(work)
        git.run("add", "--update")
        git.run("commit", "--quiet", "--allow-empty", "--no-verify", "--message",
                "Name the registry and the DVC remote of this machine", env=_LOCAL_COMMIT)  # fmt: skip
        made = git.run("rev-parse", "HEAD").strip()
        bare.run("fetch", "--quiet", work.as_uri(), "HEAD")
        shutil.rmtree(work)
        return made

    def _place_of(self, branch: str) -> Git | None:
        """Return the repository that has `branch`: the clone, else the servers'."""
        bare = Git(self.state / "git" / "model.git")
        for place in (self.clone, *([bare] if bare.directory.is_dir() else [])):
            if place.commit_of(f"refs/heads/{branch}"):
                return place
        return None

    def _events(self, workflow: str, branch: str) -> list[str]:
        """Return the events that a workflow of the branch runs on. Raises InputError: no such one."""
        path = f"{_WORKFLOWS}/{workflow}"
        place = self._place_of(branch) or self.clone
        text = place.file_at(f"refs/heads/{branch}", path)
        if text is None:
            listed = place.run(
                *("ls-tree", "--name-only", f"refs/heads/{branch}", f"{_WORKFLOWS}/"), check=False
            ).split()
            names = ", ".join(Path(one).name for one in listed) or "none"
            raise InputError.of(
                "WORKFLOW", workflow, f"{branch} has no {path}", fix=f"one of these: {names}"
            )
        on = document.load_yaml(text, source=path).get("on", [])
        return [on] if isinstance(on, str) else [str(one) for one in on]

    def _told_of(self, flow: Flow, run: act.Run, number: int = 0) -> int:
        """Tell a person how a run ended, and where its report is; return the exit code."""
        comments = flow.comments(number) if number else []
        if comments:
            file = flow.root / "reports" / f"{number:02}.md"
            file.parent.mkdir(exist_ok=True)
            file.write_text("\n\n".join(comments), encoding="utf-8")
            page, _ = report_pages.write_report(file, flow.forge.url, flow.bare(flow.model))
            say(f"report: {page}")
        for error in run.errors:
            say(error)
        if run.status:
            say(f"failed at {run.failed_step!r}; the log is the newest in {flow.root / 'runs'}")
        return 1 if run.status else 0


def stop(repository: Path) -> None:
    """Stop the servers of a clone, and remove all that they stored. Raises RefusedError: in use."""
    clone = _repository("repository", repository)
    common = clone.run("rev-parse", "--path-format=absolute", "--git-common-dir").strip()
    state = Path(common) / STATE
    if not state.exists():
        say("nothing runs here")
        return
    with try_locked(state / "lock") as free:
        if not free:
            raise RefusedError(f"a `local` command uses {state}", fix="wait until it ends")
        left_forge(state).stop()
        machine.remove(state / "machine")
        remove_tree(state)
    say("stopped, and removed")


def _merge(flow: Flow, number: int, repository: str) -> None:
    """Approve and merge a pull request. Raises RefusedError: the server does not merge it."""
    flow.approve(number, repository)
    try:
        flow.merge(number, repository)
    except GithubException as error:
        raise RefusedError(
            f"pull request {number} of {repository} can't be merged: {error.message}",
            fix="merge its base into its head, or close what another one replaced",
        ) from error


def _repository(option: str, folder: Path) -> Git:
    if not folder.is_dir():
        raise InputError.of(option, str(folder), "there is no such folder")
    try:
        return git_adapter.open_repository(folder.resolve())
    except git_adapter.UntrustedError:
        raise
    except InputError as error:
        raise InputError.of(
            option, str(folder), "it is in no Git repository", fix=f"--{option} FOLDER, a clone"
        ) from error


def _copy_new(source: str, target: str) -> None:
    if not Path(target).exists():
        shutil.copyfile(source, target)


def _noted(state: Path) -> dict[str, Any]:
    """Return what an earlier command noted, or nothing."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((state / "project.json").read_text("utf-8"))
        return found if isinstance(found, dict) else {}
    return {}
