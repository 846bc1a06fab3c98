"""The whole flow in one folder: bare repositories, the forge, and workflow runs by act."""

from __future__ import annotations

import re
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_gitops.adapters import new_repository, process, template_files
from model_gitops.adapters.git import Git
from model_gitops.adapters.git_credentials import token_credentials
from model_gitops.core import document
from model_gitops.core.scaffold.answers import Answers
from model_gitops.core.scaffold.record import Record
from model_gitops.errors import ExternalError
from model_gitops_local import act
from model_gitops_local.daemon import Daemon
from model_gitops_local.forge import Forge
from model_gitops_local.parts import Parts, copy_tree

MODEL = "acme/diabetes"
DEPLOY = "acme/diabetes-deploy"
# Secrets of the model repository, which every branch's workflow sees. No login is asked for by the
# registry, but one is given.
OF_REPOSITORY = ("DEPLOY_READ_TOKEN", "COMMIT_TOKEN", "REGISTRY_PASSWORD")
# Secrets of its environments, which only a job sees that names one.
OF_ENVIRONMENTS = ("DEPLOY_TOKEN", "ARGO_TOKEN", "KUBEFLOW_TOKEN")
SECRETS = (*OF_ENVIRONMENTS, *OF_REPOSITORY)
# The person at the keyboard.
PERSON = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "ada"), ("EMAIL", "ada@example.org"))
}

_OF_A_WORKFLOW = (
    *("GITHUB_ACTIONS", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL", "GITHUB_API_URL"),
    *("GITHUB_EVENT_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"),
)


@dataclass
class Flow:
    """A model repository and its deploy repository, on a forge, with runs on demand.

    Everything lies below `root`: `git/`, `remote/`, `forge/`, `runs/`. `on_step` hears of each
    step of a workflow that ends, `on_end` of the checkout that a run leaves.
    """

    root: Path
    parts: Parts
    on_step: act.OnStep = lambda job, step, result, seconds: None
    on_end: Callable[[Path], None] = lambda checkout: None
    port: int = 0
    model: str = MODEL
    deploy: str = DEPLOY
    forge: Forge = field(init=False)
    tokens: dict[str, str] = field(init=False)
    runs: int = 0
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start the forge."""
        self.root = self.root.resolve()
        self.forge = Forge(self.root / "forge", port=self.port)
        self.forge.start()
        self.tokens = {
            name: secrets.token_hex(20)
            for name in ("GITHUB_TOKEN", *SECRETS, "FORK_TOKEN", "ada", "grace")
        }
        owner = self.model.partition("/")[0]
        # As on GitHub: the job's token reaches its own repository only.
        self.forge.add_token(
            self.tokens["GITHUB_TOKEN"], "github-actions[bot]", repositories=[self.model]
        )
        self.forge.add_token(
            self.tokens["DEPLOY_TOKEN"], f"{owner}-deployer[bot]", repositories=[self.deploy]
        )
        self.forge.add_token(
            self.tokens["DEPLOY_READ_TOKEN"],
            f"{owner}-auditor[bot]",
            {"contents": "read", "pull_requests": "read"},
            repositories=[self.deploy],
        )
        self.forge.add_token(
            self.tokens["COMMIT_TOKEN"],
            f"{owner}-committer[bot]",
            {"contents": "write", "pull_requests": "write"},
            repositories=[self.model],
        )
        # What GitHub gives the run of a fork's pull request.
        self.forge.add_token(
            self.tokens["FORK_TOKEN"],
            "github-actions[bot]",
            {"contents": "read"},
            repositories=[self.model],
        )
        for person in ("ada", "grace"):
            self.forge.add_token(self.tokens[person], person)

    def stop(self) -> None:
        """Stop the forge; what it holds stays on disk."""
        self.forge.stop()

    def leave(self) -> str:
        """Serve the forge from a process of its own, for people to look at; return its address."""
        self.stop()
        port = self.forge.port

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        words: list[str | Path] = [
            *(sys.executable, "-I", act.ROOT / "scripts", "local", "forge"),
            *("--root", self.root / "forge", "--port", str(port), "--public"),
        ]
        for repository in (self.model, self.deploy):
            words += ["--repository", f"{repository}={self.bare(repository).directory}"]
        left_forge(self.root).start(words, answers, facts={"url": self.forge.url})
        return self.forge.url

    def bare(self, repository: str) -> Git:
        """Return a bare repository of the forge."""
        return Git(self.root / "git" / ("deploy.git" if repository == self.deploy else "model.git"))

    def add_bare(self, repository: str, default_branch: str) -> Git:
        """Let the forge have `repository`, empty where it is new; return it."""
        bare = self.bare(repository)
        if not bare.directory.exists():
            bare.directory.mkdir(parents=True)
            bare.run("init", "--quiet", "--bare", "--initial-branch", default_branch)
        self.forge.add_repository(repository, bare.directory)
        return bare

    def create_repositories(
        self, answers: Answers | None = None, change: Callable[[Path], None] = lambda folder: None
    ) -> None:
        """Make both repositories from the templates, with every environment at the first commit.

        With `answers` they have other names, branches and environments, as `init` makes them.
        `change` edits the folder of the model repository before that commit.
        """
        templates = act.ROOT / "templates"
        names = answers.branches if answers else ("main", "staging", "production")
        for repository, template in ((self.model, "model"), (self.deploy, "deploy")):
            self.add_bare(repository, "main")
            clone = self.clone(repository, "main", self.root / "new" / template)
            if answers is None:
                copy_tree(templates / template, clone.directory)
            else:
                made = Record(template, template_files.version(), answers)
                new_repository.write(clone.directory, made.rendered(template_files.read(template)))
            if repository == self.model:
                self._configure(clone.directory)
                change(clone.directory)
            else:
                self._configure_deploy(clone.directory)
            clone.run("add", "--all")
            clone.run(
                "commit", "--quiet", "--message", f"Start from the {template} template", env=PERSON
            )
            branches = names if repository == self.model else ("main",)
            clone.run(
                "push", "--quiet", "origin", *(f"HEAD:refs/heads/{name}" for name in branches)
            )
            shutil.rmtree(clone.directory)  # its configuration holds a token

    def clone(self, repository: str, revision: str, folder: Path, actor: str = "ada") -> Git:
        """Clone `repository` into `folder` at a branch or commit, as actions/checkout would.

        The credentials stay in the clone's local configuration, as that action's do.
        """
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        url = f"{self.forge.url}/{repository}.git"
        git = Git(folder)
        git.run("init", "--quiet", "--initial-branch", "main")
        git.run("remote", "add", "origin", url)
        header = token_credentials(url, self.tokens[actor]).settings[1][1]
        with (folder / ".git" / "config").open("a", encoding="utf-8") as config:
            config.write(f'[http "{self.forge.url}/"]\n\textraheader = {header}\n')
        git.run("fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
        if git.commit_of(f"refs/remotes/origin/{revision}"):
            git.run("checkout", "--quiet", "-B", revision, f"refs/remotes/origin/{revision}")
        elif git.commit_of(revision) or self._fetched(git, revision):
            git.run("checkout", "--quiet", "--detach", revision)
        return git

    def _fetched(self, git: Git, commit: str) -> bool:
        """Fetch a commit that no branch has: the head of a fork's pull request."""
        return git.completed("fetch", "--quiet", "origin", commit, check=False).returncode == 0

    def commit(self, branch: str, change: Callable[[Path], None], message: str) -> str:
        """Let a person change the model repository on `branch`, new from main, and push it."""
        git = self.clone(self.model, branch, self.root / "new" / "change")
        if git.commit_of(f"refs/remotes/origin/{branch}") is None:
            git.run("checkout", "--quiet", "-B", branch, "refs/remotes/origin/main")
        change(git.directory)
        git.run("add", "--all")
        git.run("commit", "--quiet", "--message", message, env=PERSON)
        git.run("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        commit = git.run("rev-parse", "HEAD").strip()
        shutil.rmtree(git.directory)
        return commit

    def pushed(self, branch: str, workflow: str) -> act.Run:
        """Run `workflow` for the push that made `branch` what it is."""
        event = self.forge.event("push", self.model, branch=branch, sender="ada")
        return self._run(workflow, "push", event, branch)

    def run_again(self, workflow: str, event: Mapping[str, Any], commit: str) -> act.Run:
        """Run `workflow` again for a push of `commit`, as "Re-run all jobs" does."""
        return self._run(workflow, "push", event, commit)

    def proposed(
        self, number: int, workflow: str = "promote.yml", *, action: str = "opened"
    ) -> act.Run:
        """Run `workflow` for what was done (`action`) to pull request `number`."""
        event = self.forge.event("pull_request", self.model, number, action=action, sender="ada")
        return self._run(workflow, "pull_request", event, event["pull_request"]["head"]["sha"])

    def proposed_by_fork(self, number: int, workflow: str, artifacts: Path) -> act.Run:
        """Run `workflow` for a fork's pull request, as GitHub does: no secrets, a reader's token.

        `artifacts` is a folder for what the run uploads: a folder of files an artifact.
        """
        event = self.forge.event("pull_request", self.model, number, action="opened", sender="eve")
        head = event["pull_request"]["head"]["sha"]
        return self._run(
            workflow, "pull_request", event, head, actor="FORK_TOKEN", artifacts=artifacts
        )

    def finished(self, run: int, workflow: str) -> act.Run:
        """Run `workflow` for the end of the forge's workflow run `run`.

        Only `.github` is checked out, as the workflow says: act copies what is there.
        """
        event = self.forge.event("workflow_run", self.model, run)
        return self._run(workflow, "workflow_run", event, "main", sparse=".github")

    def scheduled(self, workflow: str, artifacts: Path | None = None) -> act.Run:
        """Run `workflow` as its schedule does, on the default branch; `artifacts` is for what it uploads."""
        event = self.forge.event("schedule", self.model)
        return self._run(workflow, "schedule", event, "main", artifacts=artifacts)

    def dispatched(self, workflow: str, **inputs: str) -> act.Run:
        """Run `workflow` as a person starts it by hand, on the default branch."""
        event = {
            "inputs": inputs,
            "ref": "refs/heads/main",
            "repository": self.forge.event("schedule", self.model)["repository"],
            "sender": {"login": "ada"},
        }
        return self._run(workflow, "workflow_dispatch", event, "main")

    def ask(self, *command: str) -> str:
        """Return what an action answers to a person in a clone, who may read everything."""
        clone = self.clone(self.model, "main", self.root / "new" / f"ask-{secrets.token_hex(4)}")
        try:
            done = process.run(
                [act.ROOT / "scripts" / "run.sh", *command],
                cwd=clone.directory,
                env={
                    **self.parts.environment,
                    "MODEL_GITOPS_TOKEN": self.tokens["DEPLOY_READ_TOKEN"],
                    "MODEL_GITOPS_SOURCE_TOKEN": self.tokens["ada"],
                    # Where a workflow runs all this, it is not that workflow that asks.
                    **dict.fromkeys(_OF_A_WORKFLOW, ""),
                },
            )
        finally:
            shutil.rmtree(clone.directory)
        return done.stdout

    def open_pull_request(self, head: str, base: str, title: str) -> int:
        """Open a pull request in the model repository; return its number."""
        return int(
            self._repository(self.model).create_pull(base=base, head=head, title=title).number
        )

    def pull_request_of(self, head: str, base: str) -> tuple[int, str]:
        """Return the open pull request, opened if need be, and what was done to it."""
        found = self._repository(self.model).get_pulls(state="open", base=base)
        number = next((one.number for one in found if one.head.ref == head), None)
        if number is not None:
            return int(number), "synchronize"
        return self.open_pull_request(head, base, f"Promote {head} to {base}"), "opened"

    def approve(self, number: int, repository: str = "") -> None:
        """Approve a pull request, as another person than the one who opened it."""
        self._repository(repository or self.model, "grace").get_pull(number).create_review(
            event="APPROVE"
        )

    def merge(self, number: int, repository: str = "", *, squash: str = "") -> str:
        """Merge a pull request as a person does, with a merge commit; return that commit.

        With `squash` it becomes one commit, whose whole message this is.
        """
        repository = repository or self.model
        pull = self._repository(repository).get_pull(number)
        if squash:
            done = pull.merge(merge_method="squash", commit_title=squash, commit_message="")
        else:
            done = pull.merge(merge_method="merge")
        if not done.merged:
            raise ExternalError(f"pull request {number} of {repository} was not merged")
        return str(done.sha)

    def revert(self, commit: str, reason: str) -> str:
        """Let a person take a commit of the deploy repository back; return the commit that does."""
        git = self.clone(self.deploy, "main", self.root / "new" / "revert")
        git.run("revert", "--no-edit", commit, env=PERSON)
        message = git.run("log", "-1", "--format=%B").strip()
        git.run("commit", "--quiet", "--amend", "-m", f"{message}\n\n{reason}", env=PERSON)
        git.run("push", "--quiet", "origin", "HEAD:refs/heads/main")
        made = git.run("rev-parse", "HEAD").strip()
        shutil.rmtree(git.directory)
        return made

    def open_pulls(self, repository: str) -> list[int]:
        """Return the numbers of the open pull requests."""
        return [pull.number for pull in self._repository(repository).get_pulls(state="open")]

    def comments(self, number: int) -> list[str]:
        """Return the comments on a pull request of the model repository, oldest first."""
        issue = self._repository(self.model).get_issue(number)
        return [comment.body for comment in issue.get_comments()]

    def _repository(self, repository: str, person: str = "ada") -> Any:
        from github import Auth, Github

        token = Auth.Token(self.tokens[person])
        return Github(auth=token, base_url=self.forge.api_url, retry=None).get_repo(repository)

    def _run(
        self,
        workflow: str,
        event_name: str,
        event: Mapping[str, Any],
        at: str,
        *,
        actor: str = "GITHUB_TOKEN",
        artifacts: Path | None = None,
        sparse: str = "",
    ) -> act.Run:
        self.runs += 1
        name = f"{self.runs:02}-{workflow.removesuffix('.yml')}"
        trusted = actor == "GITHUB_TOKEN"
        # As `token:` of actions/checkout says there.
        holder = "COMMIT_TOKEN" if trusted and workflow == "experiment.yml" else actor
        checkout = self.clone(self.model, at, self.root / "runs" / name, actor=holder)
        if sparse:
            checkout.run("sparse-checkout", "set", "--no-cone", sparse)
        given = {"GITHUB_TOKEN": self.tokens[actor]}
        if trusted:
            file = checkout.directory / ".github" / "workflows" / workflow
            names = secrets_of(
                file.read_text(encoding="utf-8"),
                lambda called: file.with_name(called).read_text(encoding="utf-8"),
            )
            given |= {secret: self.tokens[secret] for secret in names if secret in self.tokens}
        uploads = {"MODEL_GITOPS_ARTIFACTS": str(artifacts)} if artifacts else {}
        try:
            return act.run_workflow(
                self.parts.act,
                workflow,
                event_name,
                event,
                checkout=checkout.directory,
                env={
                    **self.parts.environment,
                    "GITHUB_SERVER_URL": self.forge.url,
                    "GITHUB_API_URL": self.forge.api_url,
                    "GITHUB_REPOSITORY": self.model,
                    "GITHUB_RUN_ID": str(self.runs),
                    **uploads,
                },
                process_env=self.parts.environment,
                secrets=given,
                variables={"BUILD_ARGS": f"BASE_IMAGE={self.parts.base_image}", **self.variables},
                log=self.root / "runs" / f"{name}.log",
                on_step=self.on_step,
                actions=self.parts.actions,
            )
        finally:
            self.on_end(checkout.directory)
            shutil.rmtree(checkout.directory, ignore_errors=True)

    def _configure(self, folder: Path) -> None:
        """Edit what a team edits: the one file, and the DVC remote."""
        file = folder / "promotion.yaml"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("ghcr.io/", f"{self.parts.registry}/"), encoding="utf-8")
        self.use_own_remote(folder)

    def use_own_remote(self, folder: Path) -> None:
        """Let the DVC project in `folder` push to a folder of the flow's own; no project, nothing."""
        config = folder / ".dvc" / "config"
        if not config.is_file():
            return
        remote = self.root / "remote"
        remote.mkdir(exist_ok=True)
        text = re.sub(r"(?m)^\s*remote\s*=.*\n", "", config.read_text(encoding="utf-8"))
        text = text if "[core]" in text else f"[core]\n{text}"
        text = text.replace("[core]\n", "[core]\n    remote = on-this-machine\n", 1)
        text += f"['remote \"on-this-machine\"']\n    url = {remote}\n"
        config.write_text(text, encoding="utf-8")

    def _configure_deploy(self, folder: Path) -> None:
        for file in folder.glob("overlays/*/kustomization.yaml"):
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace("ghcr.io/", f"{self.parts.registry}/"), encoding="utf-8")


def left_forge(root: Path) -> Daemon:
    """Return the process that `Flow.leave` started in the same folder."""
    return Daemon("the forge", root / "forge")


def secrets_of(workflow: str, called: Callable[[str], str] | None = None) -> tuple[str, ...]:
    """Return the names of the secrets that the run of a workflow, its YAML, sees.

    On GitHub an environment's secrets reach only the jobs that name it; act gives all jobs of a run
    the same, so here they reach only the workflows that have such a job, or that call one
    that has: `called` gives the text of a file's name.
    """
    jobs = document.load_yaml(workflow, source="the workflow")["jobs"].values()
    texts = [called(Path(job["uses"]).name) for job in jobs if "uses" in job] if called else []
    enters = any("environment" in job for job in jobs) or any(
        secrets_of(text, called) != OF_REPOSITORY for text in texts
    )
    return (*OF_ENVIRONMENTS, *OF_REPOSITORY) if enters else OF_REPOSITORY
