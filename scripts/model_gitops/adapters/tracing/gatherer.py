"""Gathers the facts of a lineage from where each is kept: overlay, registry, tags, DVC files, API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import docker, docker_config, git, github, project_files, scratch
from model_gitops.adapters.deploy_repository import (
    DEEPER,
    DeployRepository,
    KustomizationFile,
    check_secrets,
    connected,
)
from model_gitops.core.deploy import deployment, kustomization
from model_gitops.core.dvc import artifacts, pipeline
from model_gitops.core.flow import metrics
from model_gitops.core.flow.promotion import Environment, Promotion
from model_gitops.core.gto import tags
from model_gitops.core.image.names import is_reference_of_image, registry_host
from model_gitops.core.image.published import Published
from model_gitops.core.lineage.facts import (
    Deployed,
    NothingDeployed,
    Pull,
    Registered,
    Source,
    Stored,
    Trace,
    pick,
)
from model_gitops.errors import ExternalError, InputError


@dataclass
class Gatherer:
    """Where the facts are. What is None can't be asked, and `unasked` says why, by the link's end;
    each Trace says the same, and what could not be asked for it alone.

    `checkout` is of the model repository, `registry` its server's tags, and `branches` the
    environments' branches as the server has them now (name → commit). Each place is asked once for
    the same thing.
    """

    promotion: Promotion
    checkout: git.Git
    registry: tags.Registry
    branches: Mapping[str, str]
    deploy: DeployRepository
    deploy_branch: str = ""
    deploy_name: str = ""
    repository: str = ""
    store: docker.Docker | None = None
    source_api: github.GitHub | None = None
    deploy_api: github.GitHub | None = None
    # Whether a registry that can't be asked leaves its links unknown, or is an error.
    tolerant: bool = False
    unasked: dict[str, str] = field(default_factory=dict)
    _missing: dict[str, str] = field(default_factory=dict)
    _silent: dict[str, str] = field(default_factory=dict)
    _read: dict[str, Deployed] = field(default_factory=dict)
    _found: dict[str, tuple[artifacts.Artifact | None, str]] = field(default_factory=dict)
    _projects: dict[str, project_files.ProjectFiles] = field(default_factory=dict)

    def environment(self, environment: Environment) -> Trace:
        """Walk from an environment's overlay to the data. Raises InputError for no such overlay."""
        promotion = self.promotion
        self._missing = dict(self.unasked)
        deployed = self._deployed(environment)
        held, held_problem = self._held(environment)
        comes = deployed.waiting or promotion.stage_on == "pull_request"
        is_first = deployed.is_new and deployed.name == promotion.image
        if is_first and (comes or not (held or held_problem)):
            waits = ": its first deployment waits in a pull request" if deployed.waiting else ""
            raise NothingDeployed(
                f"{environment.name} runs nothing yet{waits}: {deployed.path} of {deployed.repository}"
                f" sets {deployed.image.reference}",
                fix=f"merge the pull request into {deployed.repository}"
                if waits
                else f"merge a pull request into {environment.branch!r}: deploy.yml sets the image",
                waiting=proposal(deployed),
            )
        by_pull = environment.deploy == "pull-request"
        if by_pull and self.deploy_api is None:
            self._missing["deploy pull request"] = (
                "without `token` nobody was asked which pull request of the deploy repository it was"
            )
        origin = deployed.origin
        with ThreadPoolExecutor(2) as pool:
            asked = pool.submit(self._deployed_image, deployed)
            source = (
                self._source(origin.commit, environment.branch, taken_back=origin.rolled_back)
                if origin
                else None
            )
            stored = asked.result()
        return self._complete(
            Trace(
                subject=environment.name,
                model=promotion.model,
                environment=environment.name,
                deployed=deployed,
                stored=stored,
                source=source,
                version=self._registered(deployed.says("model", promotion.model)),
                held=held.version if held else "",
                held_hash=held.model_hash if held else "",
                held_problem=held_problem,
                moves_early=self._moves_early(environment, held),
                repository=self.repository,
                image=promotion.image,
                tagged=self._tagged(deployed, source),
                by_pull=by_pull,
                pull=self._pull(self.source_api, "pull request", source.commit, environment.branch)
                if source
                else None,
                deploy_pull=self._pull(
                    self.deploy_api, "deploy pull request", deployed.commit, deployed.branch
                ),
            )
        )

    def _held(self, environment: Environment) -> tuple[Registered | None, str]:
        """Return the version that the environment's stage holds, or None; and why it can't be said."""
        model = self.promotion.model
        try:
            held = self.registry.stage(model, environment.name)
        except InputError as error:
            return None, error.message
        return (self._registered(f"{model}@{held.version}") if held else None), ""

    def _deployed_image(self, deployed: Deployed) -> Stored | None:
        if deployed.name != self.promotion.image:
            # Whoever edits an overlay must not choose the server that hears our login.
            self._missing["registry"] = "only the image of promotion.yaml is asked for"
            return None
        return self._stored(deployed.image)

    def _moves_early(self, environment: Environment, held: Registered | None) -> bool | None:
        """Whether an open pull request into the environment has the model that the stage holds."""
        if self.promotion.stage_on != "pull_request":
            return None
        if self.source_api is None:
            self._missing["open pull requests"] = "without `source-token` nobody was asked"
            return None
        try:
            heads = [one.head_sha for one in self.source_api.open_pull_requests(environment.branch)]
        except github.ApiError as error:
            self._missing["open pull requests"] = error.message
            return None
        return held is not None and any(
            self._has(head) and self.model_hash(head) == held.model_hash for head in heads
        )

    def _tagged(self, deployed: Deployed, source: Source | None) -> str:
        """Return the digest that the source commit's own tag names, where the overlay has another."""
        if source is None or not source.known or deployment.is_commit(deployed.image.tag):
            return ""
        found = self._stored(kustomization.Image(self.promotion.image, "", source.commit))
        return found.tag_digest if found else ""

    def image(self, name: str, tag: str, digest: str) -> Trace:
        """Walk from an image to the data, by the environment that runs it, if one does.

        Raises InputError where the registry has no such image.
        """
        asked = kustomization.Image(name, "", tag, digest)
        self._missing = dict(self.unasked)
        stored = self._stored(asked)
        if stored is None or not (stored.digest or stored.tag_digest):
            raise InputError.of(
                "subject", asked.reference, "the registry has no such image, or does not show it",
                fix="log in to the registry (`username`, `password`), or give another image",
            )  # fmt: skip
        found = digest or stored.tag_digest
        # What else has the digest says nothing of this tag, where the tag is a commit's.
        alone = self.checkout.commit_of(tag) == tag
        if running := self._running(lambda one: one.image.digest == found, tag, only_tag=alone):
            return replace(running, subject=asked.reference)
        if not digest:
            stored = self._stored(replace(asked, digest=found)) or stored
        # A commit's hash as its tag: of a promoted image that is a later hop than it was built at.
        commit = tag if alone else stored.revision
        source = self._source(commit) if commit else None
        version = self.version_of(source.model_hash) if source else None
        return self._loose(asked.reference, stored, source, version)

    def version(self, version: tags.Version) -> Trace:
        """Walk from a registered version to the data, by the environment that runs it, if one does."""
        name = f"{version.model}@{version.version}"
        self._missing = dict(self.unasked)
        model = self.promotion.model
        if running := self._running(lambda one: one.says("model", model) == name, ""):
            return replace(running, subject=name)
        image = kustomization.Image(self.promotion.image, "", version.commit)
        stored = self._stored(image)
        if stored is not None:
            known = stored.tag_digest
            stored = self._stored(replace(image, digest=known)) if known else None
        return self._loose(name, stored, self._source(version.commit), self._registered(name))

    def _running(
        self, wanted: Callable[[Deployed], bool], tag: str, *, only_tag: bool = False
    ) -> Trace | None:
        """Return the trace of the environment that runs what is wanted: the furthest, or of `tag`."""
        found: list[tuple[Environment, Deployed]] = []
        for environment in self.promotion.environments:
            with suppress(InputError):  # nobody can say what this one runs
                deployed = self._deployed(environment)
                if wanted(deployed):
                    found.append((environment, deployed))
        tagged = [pair for pair in found if pair[1].image.tag == tag]
        for environment, _ in reversed(tagged or ([] if only_tag else found)):
            return self.environment(environment)
        return None

    def _loose(
        self,
        subject: str,
        stored: Stored | None,
        source: Source | None,
        version: Registered | None,
    ) -> Trace:
        """Return the lineage of what no environment runs."""
        pull = self._pull(self.source_api, "pull request", source.commit, "") if source else None
        return self._complete(
            Trace(
                subject,
                self.promotion.model,
                stored=stored,
                source=source,
                version=version,
                pull=pull,
            )
        )

    def _complete(self, trace: Trace) -> Trace:
        """Add what follows from the rest: the commit the image was built from, and the recipe."""
        revision = trace.stored.revision if trace.stored else ""
        # A branch's name would be compared with wherever that branch is today.
        built = self._source(revision) if deployment.is_commit(revision) else None
        recipe = None
        if trace.source and trace.source.model_path:
            recipe = self._recipe(trace.source.commit)
        return replace(trace, built=built, recipe=recipe, unasked=dict(self._missing))

    # --- the deploy repository --------------------------------------------------------------------

    def _deployed(self, environment: Environment) -> Deployed:
        if environment.name not in self._read:
            self._read[environment.name] = self._read_overlay(environment)
        return self._read[environment.name]

    def _read_overlay(self, environment: Environment) -> Deployed:
        deploy = self.deploy
        path = self.promotion.deploy_path.replace("{environment}", environment.name)
        folder = deployment.check_path(path)
        branch = self.deploy_refs[0]
        tip = deploy.fetch(branch, depth=DEEPER[0])
        file = deploy.read_kustomization(tip, folder)
        entries = kustomization.read(file.text, source=file.path)
        promotion = self.promotion
        entry = pick(entries, promotion.model, promotion.image, source=file.path)
        overruled = kustomization.overruling(entries, entry) or kustomization.forestalling(
            entries, entry
        )
        found = deploy.last_change(branch, file, entry, depths=DEEPER)
        waiting = self._waiting(file, folder, entry, branch)
        proposed = waiting.get("source-commit")
        if found and proposed and proposed == found.trailers.get("source-commit"):
            waiting = {}  # merged as another commit, and the branch was left behind
        deployed = Deployed(
            self.deploy_name, branch, file.path, entry, waiting=waiting, overruled=overruled
        )
        if found is None:
            return replace(deployed, is_new=deployed.is_placeholder)
        return replace(
            deployed,
            commit=found.commit,
            recorded=deploy.image_at(found.commit, file.path, entry.name),
            trailers=found.trailers,
            since=deploy.landed(tip, found.commit)[1],
            is_new=deployed.is_placeholder and not deploy.was_deployed(branch, file.path),
        )

    @cached_property
    def deploy_refs(self) -> tuple[str, Mapping[str, str]]:
        """The branch that is deployed from, and all branches of the deploy repository.

        Raises InputError where it has no such branch.
        """
        refs = self.deploy.refs()
        branch = self.deploy_branch or refs.default
        if branch not in refs.branches:
            names = ", ".join(sorted(refs.branches)[:20]) or "none: it is empty"
            problem = f"{self.deploy.url} has no such branch; it has {names}"
            raise InputError.of("deploy-branch", branch, problem, fix="deploy-branch: main")
        return branch, refs.branches

    def _waiting(
        self, file: KustomizationFile, folder: str, entry: kustomization.Image, base: str
    ) -> Mapping[str, Sequence[str]]:
        """Return the trailers of our own pull request into the overlay; empty where none waits."""
        branches = self.deploy_refs[1]
        for branch in branches:
            # It may set other images of the folder too, which its name then says.
            if not deployment.may_propose(branch, folder):
                continue
            tip = self.deploy.fetch(branch)
            proposed = self.deploy.image_at(tip, file.path, entry.name)
            if proposed in (None, entry) or self.deploy.is_merged(tip, branches[base]):
                continue
            if self._is_open(branch, base):
                return deployment.read_trailers(self.deploy.message(tip))
        return {}

    def _is_open(self, branch: str, base: str) -> bool:
        """Whether the branch's pull request is open; also where nobody can be asked."""
        if self.deploy_api is None:
            return True
        try:
            return self.deploy_api.find_pull_request(branch, base) is not None
        except github.ApiError:
            return True

    # --- the registry -------------------------------------------------------------------------------

    def _stored(self, wanted: kustomization.Image) -> Stored | None:
        name = wanted.new_name or wanted.name
        if self.store is None:
            return None
        host = registry_host(name)
        if said := self._silent.get(host):  # not again for each environment
            self._missing["registry"] = said
            return None
        references = [
            *([f"{name}@{wanted.digest}"] if wanted.digest else []),
            *([f"{name}:{wanted.tag}"] if wanted.tag else []),
        ]
        # No registry has an image whose name, tag or digest is none.
        references = [one for one in references if is_reference_of_image(one)]
        ask = partial(self.store.inspect, hidden=False)
        try:
            with ThreadPoolExecutor(2) as pool:
                answers = dict(zip(references, pool.map(ask, references), strict=True))
        except ExternalError as error:
            if not self.tolerant:
                raise
            self._silent[host] = f"the registry can't be asked: {error.message}"
            self._missing["registry"] = self._silent[host]
            return None
        pinned = answers.get(f"{name}@{wanted.digest}")
        tagged = answers.get(f"{name}:{wanted.tag}")
        found: Published | None = pinned or (None if wanted.digest else tagged)
        return Stored(
            name=name,
            tag=wanted.tag,
            digest=pinned.digest if pinned else "",
            tag_digest=tagged.digest if tagged else "",
            labels=found.labels if found else {},
        )

    # --- the model repository -----------------------------------------------------------------------

    def _source(self, commit: str, branch: str = "", *, taken_back: str = "") -> Source:
        if not self._has(commit):
            return Source(commit, known=False, branch=branch)
        artifact, problem = self._artifact(commit)
        tip = self.branches.get(branch, "")
        tip_hash, tip_age = "", 0.0
        if tip and self._has(tip):
            there, _ = self._artifact(tip)
            tip_hash = there.hash if there else ""
            tip_age = time.time() - self.checkout.made(tip)
        return Source(
            commit=commit,
            model_path=artifact.path if artifact else "",
            model_hash=artifact.hash if artifact else "",
            problem=problem,
            branch=branch,
            on_branch=self._on_branch(commit, tip) if branch else None,
            tip=tip,
            tip_hash=tip_hash,
            tip_age=tip_age,
            tip_taken_back=self._is_taken_back(tip, taken_back),
            edited=self._edited(commit),
        )

    def _has(self, commit: str) -> bool:
        """Whether the repository has `commit`, a full hash; it is fetched where it must be."""
        return bool(commit) and self.checkout.find_commit(commit) == commit

    def _is_taken_back(self, tip: str, taken_back: str) -> bool:
        """Whether the branch has nothing newer than what a rollback took back."""
        if not tip or not taken_back:
            return False
        if tip == taken_back:
            return True
        return self._has(tip) and self._has(taken_back) and bool(self._on_branch(tip, taken_back))

    def _on_branch(self, commit: str, tip: str) -> bool | None:
        if not tip:
            return False  # the server has no such branch
        if not self.checkout.commit_of(tip):
            return None
        if self.checkout.is_ancestor(commit, tip):
            return True
        # Where history is cut off, "not an ancestor" may be wrong.
        if not self.checkout.is_shallow():
            return False
        return self.source_api.is_ancestor(commit, tip) if self.source_api else None

    def _edited(self, commit: str) -> tuple[str, ...]:
        """Return DVC's files that this checkout, if it is at `commit`, has otherwise."""
        if self.checkout.commit_of("HEAD") != commit:
            return ()
        done = self.checkout.completed(
            "diff", "--name-only", "-z", "HEAD", "--",
            ":(glob)**/dvc.lock", ":(glob)**/dvc.yaml", ":(glob)**/*.dvc",
            check=False,
        )  # fmt: skip
        return tuple(name for name in done.stdout.split("\0") if name)

    def _artifact(self, commit: str) -> tuple[artifacts.Artifact | None, str]:
        """Return the model as `commit` has it, or None and why not."""
        if commit not in self._found:
            try:
                model = artifacts.find(self.promotion.model, self._files(commit))
                self._found[commit] = model, ""
            except InputError as error:
                self._found[commit] = None, f"at {commit[:12]}, {error.message}"
        return self._found[commit]

    def _files(self, commit: str) -> project_files.ProjectFiles:
        """Return DVC's files of `commit`, each read once."""
        if commit not in self._projects:
            self._projects[commit] = project_files.at(self.checkout, commit)
        return self._projects[commit]

    def _recipe(self, commit: str) -> pipeline.Recipe:
        model, _ = self._artifact(commit)
        if model is None:
            return pipeline.Recipe()

        def content(path: str) -> dict[str, bytes]:
            return self.checkout.contents_at(commit, path)

        try:
            return pipeline.read(model, self._files(commit), content)
        except InputError as error:
            return pipeline.Recipe(problems=(f"at {commit[:12]}, {error.message}",))

    def _registered(self, name: str) -> Registered | None:
        """Return what the tags say of `model@version`; None for text of another form."""
        parsed = tags.parse(name.replace(":", "="))
        if parsed is None or parsed.action != "register":
            return None
        if parsed.model != self.promotion.model:
            return Registered(parsed.model, parsed.version)
        found = self.registry.version(parsed.model, parsed.version)
        if found is None or not self.checkout.find_commit(found.commit):
            return Registered(parsed.model, parsed.version, found.tag if found else "")
        artifact, _ = self._artifact(found.commit)
        value = artifact.hash if artifact else ""
        return Registered(found.model, found.version, found.tag, found.commit, value)

    def version_of(self, model_hash: str) -> Registered | None:
        """Return the highest version that has this model, or None."""
        model = self.promotion.model
        versions = self.registry.versions(model)
        commits = project_files.commits_with(
            self.checkout, model_hash, [one.commit for one in versions]
        )
        for version in reversed(versions):
            if model_hash and version.commit in commits:
                found = self._registered(f"{model}@{version.version}")
                if found and found.model_hash == model_hash:
                    return found
        return None

    def model_hash(self, commit: str) -> str:
        """Return the model's hash at `commit`, or an empty string."""
        artifact, _ = self._artifact(commit)
        return artifact.hash if artifact else ""

    def metrics(self, commit: str) -> dict[str, float | None]:
        """Return what the gate looks at, as `commit` has it: metric → value."""
        found: dict[str, float | None] = {}
        for rule in self.promotion.gate:
            text = project_files.read_file(self.checkout, rule.file, commit)
            try:
                values = metrics.load(text, source=rule.file) if text is not None else {}
            except InputError:
                values = {}
            found[rule.metric] = metrics.number(values.get(rule.key))
        return found

    # --- GitHub's API -------------------------------------------------------------------------------

    def open_pulls(self, environment: Environment) -> list[str]:
        """Return the open pull requests into the environment, each as a short sentence."""
        if self.source_api is None:
            return []
        try:
            found = self.source_api.open_pull_requests(environment.branch)
        except github.ApiError as error:
            self.unasked["open pull requests"] = error.message
            return []
        return [f"pull request #{one.number} ({one.head_ref} → {one.base_ref})" for one in found]

    def _pull(self, api: github.GitHub | None, end: str, commit: str, base: str) -> Pull | None:
        """Return the merged pull request that brought `commit` onto `base`, with its approvals."""
        if api is None or not commit:
            return None
        try:
            bases = [base] if base else [one.branch for one in self.promotion.environments]
            for pull in _merged(api.pull_requests_of_commit(commit), bases):
                return Pull(pull.number, pull.url, pull.base_ref, api.approvals(pull.number))
        except github.ApiError as error:
            self._missing[end] = error.message
        return None


def proposal(deployed: Deployed) -> str:
    """Return what our own pull request would deploy, as a short phrase; empty where none waits."""
    proposed = deployed.proposes("model") or deployed.proposes("source-commit")[:12]
    return f"{proposed or 'an image'} in the deploy pull request" if deployed.waiting else ""


def _merged(pulls: Iterable[github.PullRequest], bases: Sequence[str]) -> list[github.PullRequest]:
    return [pull for pull in pulls if pull.merged and pull.base_ref in bases]


@dataclass(frozen=True)
class Credentials:
    """What proves who we are: to the deploy repository, the model's repository, the registry."""

    token: str = ""
    ssh_key: str = ""
    source_token: str = ""
    username: str = ""
    password: str = ""


@contextmanager
def opened(
    promotion: Promotion,
    credentials: Credentials,
    *,
    deploy_branch: str = "",
    tolerant: bool = False,
) -> Iterator[Gatherer]:
    """Open all places that the facts are in, for the model repository around us.

    Raises InputError for credentials that do not fit, ExternalError where a place can't be reached.
    """
    for secret in (
        credentials.token,
        credentials.ssh_key,
        credentials.source_token,
        credentials.password,
    ):
        runner.mask(secret)
    checkout = git.open_repository(Path.cwd())
    registry, branches = _server_says(checkout, promotion)
    place = _Place.of(checkout)
    location = _deploy_location(promotion, place.server_url, credentials)
    with (
        connected(location, credentials.token, credentials.ssh_key) as deploy,
        _registry_client(promotion, credentials) as store,
    ):
        unasked = {}
        source_api = deploy_api = None
        if credentials.source_token and deployment.is_slug(place.repository):
            source_api = github.GitHub(
                place.repository, credentials.source_token, api_url=place.api_url
            )
        else:
            unasked["pull request"] = "without `source-token` nobody was asked who approved"
        same_server = location.host.lower() == place.server_url.partition("://")[2].lower()
        if credentials.token and same_server and deployment.is_slug(location.slug):
            deploy_api = github.GitHub(location.slug, credentials.token, api_url=place.api_url)
        gatherer = Gatherer(
            promotion=promotion,
            checkout=checkout,
            registry=registry,
            branches=branches,
            deploy=deploy,
            deploy_branch=deploy_branch,
            deploy_name=location.slug or location.url,
            repository=place.repository,
            store=store,
            source_api=source_api,
            deploy_api=deploy_api,
            tolerant=tolerant,
            unasked=unasked,
        )
        _ = gatherer.deploy_refs  # a wrong `deploy-branch` ends here, not as every overlay's fault
        yield gatherer


def _server_says(
    checkout: git.Git, promotion: Promotion
) -> tuple[tags.Registry, Mapping[str, str]]:
    """Return the server's tags and branches: what only this clone has, or still has, says nothing."""
    names = [one.branch for one in promotion.environments]
    if not checkout.has_remote():
        own = {name: checkout.commit_of(f"refs/heads/{name}") or "" for name in names}
        return tags.Registry.read(checkout.tags()), own
    checkout.refresh_tags()
    refs = checkout.remote_refs("origin", "refs/tags/*", *(f"refs/heads/{name}" for name in names))
    public = [tag for tag in checkout.tags() if f"refs/tags/{tag.name}" in refs]
    heads = {name: refs[f"refs/heads/{name}"] for name in names if f"refs/heads/{name}" in refs}
    return tags.Registry.read(public), heads


@dataclass(frozen=True)
class _Place:
    """The model repository on its server: by the runner, else by the remote of the clone."""

    repository: str
    server_url: str
    api_url: str

    @classmethod
    def of(cls, checkout: git.Git) -> _Place:
        context = runner.context()
        if context.repository:
            return cls(context.repository, context.server_url, context.api_url)
        try:
            url = checkout.run("remote", "get-url", "origin", check=False).strip()
            origin = deployment.locate(url, server_url=context.server_url)
        except InputError:  # no remote, or one with a password in it
            return cls("", context.server_url, context.api_url)
        server, api = deployment.server_of(
            origin, server_url=context.server_url, api_url=context.api_url
        )
        return cls(origin.slug, server, api)


def _deploy_location(
    promotion: Promotion, server_url: str, credentials: Credentials
) -> deployment.Location:
    if not promotion.deploy_repository:
        raise InputError(
            "promotion.yaml names no deploy repository, so nobody can say what is deployed",
            fix="deploy: {repository: OWNER/NAME} in promotion.yaml",
        )
    location = deployment.locate(
        promotion.deploy_repository, server_url=server_url, ssh=bool(credentials.ssh_key)
    )
    check_secrets(location, credentials.token, credentials.ssh_key)
    return location


@contextmanager
def _registry_client(promotion: Promotion, credentials: Credentials) -> Iterator[docker.Docker]:
    host = registry_host(promotion.image)
    with scratch.folder("model-gitops-trace-", runner.temporary_folder()) as made:
        env = docker_config.private_config(made, host if credentials.password else None)
        client = docker.Docker(env, say=runner.say)
        if credentials.password:
            client.login(
                host, credentials.username or runner.context().sender, credentials.password
            )
        yield client
