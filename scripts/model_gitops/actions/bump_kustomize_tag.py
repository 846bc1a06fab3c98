"""Set the image in an overlay of the deploy repository."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import build_records, clock, deploy_proposal, git, github
from model_gitops.adapters.commit_order import is_ancestor
from model_gitops.adapters.deploy_history import Pulls
from model_gitops.adapters.deploy_manifests import layer_of
from model_gitops.adapters.deploy_repository import DeployRepository, check_secrets, connected
from model_gitops.adapters.deploy_store import KustomizationFile
from model_gitops.adapters.made_from import made_from
from model_gitops.adapters.tracing.pull_requests import PullRequests
from model_gitops.core.deploy import (
    deployment,
    hold,
    kustomization,
    kustomization_edit,
    manifests,
    records,
)
from model_gitops.core.deploy.guard import Change, overtaken_by
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.location import Location, check_path, is_on, is_slug, locate
from model_gitops.core.deploy.manifests import Unused, told
from model_gitops.core.deploy.trailers import (
    Origin,
    Trailers,
    complete_trailers,
    is_rollback,
    is_superseded,
    origin_of,
    parse_trailers,
    read_trailers,
    with_rollback,
)
from model_gitops.errors import InputError
from model_gitops.options import DeployWriteKey, KnownHosts, lines, option, secret

OUTPUTS = ("operation", "commit", "previous", "pull-request")

_PUSH, _PULL_REQUEST = "push", "pull-request"


@dataclass(frozen=True)
class _Wanted:
    """What the inputs ask for."""

    location: Location
    branch: str
    path: str
    images: tuple[Image, ...]
    trailers: Trailers
    message: str
    body: str
    # The API of the model repository, where the token may reach it.
    source: github.GitHub | None
    # With records: one image that is overtaken holds back none of the others.
    each: bool = False
    # Makes the trailers of some of the images.
    trailers_of: Callable[[Sequence[Image]], Trailers] = lambda images: ()

    @property
    def subject(self) -> str:
        return deployment.subject(self.message, self.images, self.path, self.trailers)

    @property
    def commit_message(self) -> str:
        return deployment.commit_message(self.subject, self.message, self.trailers)


@dataclass(frozen=True)
class _State:
    """The overlay at the tip of one branch, and what it becomes."""

    tip: str
    file: KustomizationFile
    before: tuple[Image, ...]
    after: tuple[Image, ...]
    new_text: str

    @property
    def is_same(self) -> bool:
        return self.new_text == self.file.text

    @property
    def new_file(self) -> KustomizationFile:
        return KustomizationFile(self.file.path, self.file.mode, self.new_text)


@dataclass(frozen=True)
class _Result:
    operation: str
    commit: str
    state: _State
    pull_request: str = ""


def command(
    *,
    repository: Annotated[
        str,
        option("repository", "Deploy repository: `owner/name`, a Git URL, or an absolute path."),
    ] = "",
    branch: Annotated[
        str, option("branch", "Branch to change. Default: the repository's default branch.")
    ] = "",
    path: Annotated[
        str, option("path", "Folder of the kustomization, such as `overlays/dev`.")
    ] = "",
    images: Annotated[
        str,
        option(
            "images",
            "Lines `name=newname:tag@digest`, or `name:tag@digest`. Parts that are left out stay; a new"
            " tag without a digest drops the old digest.",
        ),
    ] = "",
    records_folder: Annotated[
        str,
        option(
            "records",
            "Folder with what build-push-image wrote by `record`: tags, digests and fingerprints. `images` has"
            " lines `name=newname` then, and one that a later commit has set already is left out.",
        ),
    ] = "",
    mode: Annotated[
        str, option("mode", "`push` to the branch, or `pull-request` into it.")
    ] = _PUSH,
    token: Annotated[
        str,
        secret(
            "token",
            "Token that may write the deploy repository. GITHUB_TOKEN may write only its own"
            " repository: use a GitHub App's.",
        ),
    ] = "",
    ssh_key: DeployWriteKey = "",
    known_hosts: KnownHosts = "",
    message: Annotated[
        str, option("message", "Commit message and title. Default: made from model and path.")
    ] = "",
    body: Annotated[
        str,
        option(
            "body",
            "Markdown that the pull request shows besides, such as the table of status: what is decided.",
        ),
    ] = "",
    trailers: Annotated[
        str,
        option(
            "trailers",
            "Lines `Key: value` for the commit, such as `Model: diabetes@v1.2.3`. `Rollback: true`"
            " allows to go back to an older image.",
        ),
    ] = "",
) -> None:
    """Edit the kustomization as text, commit with trailers, and push or open a pull request."""
    runner.mask(token)
    runner.mask(ssh_key)
    context = runner.context()
    if mode not in (_PUSH, _PULL_REQUEST):
        problem = "it is neither `push` nor `pull-request`"
        raise InputError.of("mode", mode, problem, fix="mode: push")
    location = locate(repository, server_url=context.server_url, ssh=bool(ssh_key))
    check_secrets(location, token, ssh_key, context.server_url)
    if mode == _PULL_REQUEST:
        deploy_proposal.check_place(location, token, context.server_url)
    wanted_images = deployment.parse_images(lines(images))
    fingerprints: dict[str, str] = {}
    if records_folder:
        found = build_records.read(records_folder)
        wanted_images, fingerprints = records.complete(wanted_images, found)
    given = parse_trailers(lines(trailers))
    from_repository, from_commit = made_from(context, given, location, wanted_images)
    trailers_of = partial(
        complete_trailers,
        given,
        repository=from_repository,
        commit=from_commit,
        # Of a pull request its own approval counts, and another run must not replace its commit.
        run=context.run_url if mode == _PUSH and context.has_run else "",
        fingerprints=fingerprints,
    )
    all_trailers = trailers_of(wanted_images)
    wanted = _Wanted(
        location=location,
        branch=branch,
        path=check_path(path),
        images=wanted_images,
        trailers=all_trailers,
        message=message,
        body=body,
        source=_source(location, all_trailers, token, context),
        each=records_folder != "",
        trailers_of=trailers_of,
    )
    with (
        connected(location, token, ssh_key, known_hosts) as deploy,
        runner.group(f"Set the image in {wanted.path} of {location.url}"),
    ):
        unused: tuple[Unused, ...] = ()
        onto = _branch(deploy, wanted)
        if mode == _PUSH:
            result = git.until_won(lambda: _push(deploy, onto, wanted), f"push to {location.url}")
        else:
            api = github.GitHub(location.slug, token, api_url=context.api_url)
            result = git.until_won(
                lambda: _propose(deploy, api, onto, wanted, context.server_url),
                f"pull request in {location.url}",
            )
        if result.operation != "superseded":
            unused = _unused(deploy, wanted, result.state)
    for one in unused:
        problem, fix = told(one, result.state.file.path)
        runner.warning(f"{problem}. The cluster will not run what was set. Fix: {fix}")
    if result.operation == "superseded":
        runner.notice(
            f"{wanted.path} has an image from a later commit, or one is proposed, or was rolled back"
            f" (deploy commit {result.commit}); to set this image on purpose give the trailer"
            " `Rollback: true`",
            title="superseded",
        )
    runner.write_outputs(
        {
            "operation": result.operation,
            "commit": result.commit,
            "previous": deployment.previous(result.state.before),
            "pull-request": result.pull_request,
        }
    )
    warnings = [told(one, result.state.file.path) for one in unused]
    runner.write_summary(
        deployment.summary(
            wanted.path, result.operation, result.pull_request or result.commit,
            deployment.changes_table(result.state.before, result.state.after), warnings,
        )
    )  # fmt: skip


def _source(
    location: Location, trailers: Trailers, token: str, context: runner.Context
) -> github.GitHub | None:
    """Return the API of the model repository. The token goes to no other server than its own."""
    origin = _origin_of(trailers)
    if not token or origin is None or not is_on(location, context.server_url):
        return None
    if not is_slug(origin.repository):
        return None
    return github.GitHub(origin.repository, token, api_url=context.api_url)


def _push(deploy: DeployRepository, branch: str, wanted: _Wanted) -> _Result:
    """Fetch, decide, write, push: once. Raises LostRace."""
    ours = _origin_of(wanted.trailers)
    tip = deploy.fetch_to_push(branch, wanted.path, ours.repository if ours else "")
    state = _read(deploy, tip, wanted)
    if state.is_same:
        return _Result("none", state.tip, state)
    wanted, state, newer = _left(deploy, branch, state, wanted, None)
    if newer:
        return _Result("superseded", newer, state)
    _require_no_hold(deploy, state, wanted)
    wanted = _taking_back(deploy, branch, state, wanted, None)
    commit = deploy.commit(state.tip, state.new_file, message=wanted.commit_message)
    deploy.push(commit, branch)
    return _Result("pushed", commit, state)


def _propose(
    deploy: DeployRepository, api: github.GitHub, base: str, wanted: _Wanted, server_url: str
) -> _Result:
    """Fetch, decide, move our own branch, open or update its pull request: once. Raises LostRace."""
    head = deployment.branch_name(wanted.path, wanted.images, base)
    state = _read(deploy, deploy.fetch(base, depth=2), wanted)
    ours = deploy_proposal.find(deploy, api, head, base)
    # First of all: where the base has our image still, a newer one may be on its way.
    if ours.tip and ours.opened and _is_superseded(wanted, _origin(deploy.message(ours.tip))):
        return _Result("superseded", ours.tip, state, ours.opened.url)
    if state.is_same:
        return _Result("none", state.tip, state)
    pulls = PullRequests(api).merged_with
    wanted, state, newer = _left(deploy, base, state, wanted, pulls)
    if newer:
        return _Result("superseded", newer, state)
    _require_no_hold(deploy, state, wanted)
    wanted = _taking_back(deploy, base, state, wanted, pulls)
    body = deployment.pull_request_body(
        state.before,
        state.after,
        wanted.trailers,
        path=wanted.path,
        server_url=server_url,
        decided=wanted.body,
    )
    done = deploy_proposal.propose(
        deploy,
        api,
        ours,
        deploy_proposal.Proposal(
            wanted.subject,
            body,
            lambda: deploy.commit(state.tip, state.new_file, message=wanted.commit_message),
        ),
        holds=lambda tip: _holds(deploy, tip, state, wanted),
    )
    return _Result(done.operation, done.commit, state, done.url)


def _branch(deploy: DeployRepository, wanted: _Wanted) -> str:
    """Return the branch to change. Raises InputError where the remote does not have it."""
    refs = deploy.refs(wanted.branch) if wanted.branch else deploy.refs()
    branch = wanted.branch or refs.default
    if not branch or branch not in refs.branches:
        names = ", ".join(sorted(deploy.refs().branches)[:20]) or "none: it is empty"
        problem = f"{deploy.url} has no such branch; it has {names}"
        raise InputError.of("branch", branch, problem, fix="branch: main")
    return branch


def _read(deploy: DeployRepository, tip: str, wanted: _Wanted) -> _State:
    file = deploy.read_kustomization(tip, wanted.path)
    images = kustomization.read(file.text, source=file.path)
    before = tuple(kustomization.find(images, one.name, source=file.path) for one in wanted.images)
    after = tuple(old.changed_to(new) for old, new in zip(before, wanted.images, strict=True))
    for image in after:
        kustomization.check_suffix(image, source=file.path)
    return _State(
        tip=tip,
        file=file,
        before=before,
        after=after,
        new_text=kustomization_edit.edit(file.text, wanted.images, source=file.path),
    )


def _require_no_hold(deploy: DeployRepository, state: _State, wanted: _Wanted) -> None:
    """Refuse to deploy to an overlay that is held at the commit that is written on. Raises RefusedError.

    A rollback passes: it is what a hold is for. A hold that ran out holds no more, and its file stays.
    """
    found = deploy.hold_at(state.tip, wanted.path)
    if found and found.is_active(clock.now()) and not _is_rollback(wanted.trailers):
        raise hold.refused(found, wanted.path, wanted.path)


def _holds(deploy: DeployRepository, tip: str, state: _State, wanted: _Wanted) -> bool:
    """Whether our branch at `tip` is one commit on the base, and just what is wanted."""
    if deploy.parents(tip) != [state.tip] or deploy.message(tip) != wanted.commit_message:
        return False
    try:
        return deploy.read_kustomization(tip, wanted.path) == state.new_file
    except InputError:
        return False


def _left(
    deploy: DeployRepository, branch: str, state: _State, wanted: _Wanted, pulls: Pulls | None
) -> tuple[_Wanted, _State, str]:
    """Return what is left to set, and the deploy commit that leaves nothing: an image of ours is older than it.

    Of images that belong together each is held back by one; with records that one alone is left out.
    """
    ours = _origin_of(wanted.trailers)
    if ours is None or _is_rollback(wanted.trailers):
        return wanted, state, ""
    older: dict[str, str] = {}
    for past, after in _pasts(deploy, branch, state, ours, pulls):
        found = overtaken_by(past, ours, after, lambda origin: _is_superseded(wanted, origin))
        if found and not wanted.each:
            return wanted, state, found.commit
        if found:
            runner.notice(f"{after.name} has an image from a later commit: {found.commit}")
            older[after.name] = found.commit
    images = tuple(one for one in wanted.images if one.name not in older)
    if not older:
        return wanted, state, ""
    fewer = replace(wanted, images=images, trailers=wanted.trailers_of(images))
    left = _read(deploy, state.tip, fewer)
    return (wanted, state, next(iter(older.values()))) if left.is_same else (fewer, left, "")


def _taking_back(
    deploy: DeployRepository, branch: str, state: _State, wanted: _Wanted, pulls: Pulls | None
) -> _Wanted:
    """Let a rollback say what it takes back, so that a rerun of that is no deployment."""
    ours = _origin_of(wanted.trailers)
    if ours is None or not _is_rollback(wanted.trailers):
        return wanted
    latest: Origin | None = None
    for past, _ in _pasts(deploy, branch, state, ours, pulls):
        for one in past:
            origin = one.origin
            if origin is None or origin.repository.lower() != ours.repository.lower():
                continue
            if latest is None or is_ancestor(latest.reached, origin.reached, wanted.source):
                latest = origin
    return replace(wanted, trailers=with_rollback(wanted.trailers, latest))


def _pasts(
    deploy: DeployRepository, branch: str, state: _State, ours: Origin, pulls: Pulls | None
) -> Iterator[tuple[Sequence[Change], Image]]:
    """Yield the changes of each image that is to change, and what it is to become."""
    for before, after in zip(state.before, state.after, strict=True):
        if before != after:
            yield deploy.past(branch, state.file, before, ours.repository, pulls=pulls), after


def _is_superseded(wanted: _Wanted, incumbent: Origin | None) -> bool:
    if _is_rollback(wanted.trailers):
        return False
    ours = _origin_of(wanted.trailers)
    answer = is_superseded(
        ours, incumbent, lambda one, other: is_ancestor(one, other, wanted.source)
    )
    if answer is None and incumbent:
        runner.warning(
            f"whether the incumbent's commit {incumbent.reached} is later than ours can't be told:"
            " neither this checkout nor the token knows both. The image is set all the same; to be"
            " guarded give actions/checkout `fetch-depth: 0` and `persist-credentials: true`, or a"
            " token that may read the model repository"
        )
    return bool(answer)


def _origin(message: str) -> Origin | None:
    return origin_of(read_trailers(message))


def _origin_of(trailers: Trailers) -> Origin | None:
    return origin_of({key.lower(): [value] for key, value in trailers})


def _is_rollback(trailers: Trailers) -> bool:
    return is_rollback({key.lower(): [value] for key, value in trailers})


def _unused(deploy: DeployRepository, wanted: _Wanted, state: _State) -> tuple[Unused, ...]:
    """Return the entries that were set and by which kustomize changes no manifest, or not each."""
    layer = layer_of(deploy, state.tip, state.file.path, state.new_text)
    return manifests.unused(layer, [image.name for image in wanted.images])
