"""Judges Argo CD's Applications and AppProjects, where the deploy repository has them."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from model_gitops.core import document
from model_gitops.core.doctor import generated
from model_gitops.core.doctor.finding import Finding, Part, joined

_GROUP = "argoproj.io/"
# The annotation of one that nobody has applied yet: the template has both ways, and syncs by one.
OFF = "model-gitops/off"
# Kinds without a namespace. Those of custom resources are not known.
_OF_CLUSTER = {
    "Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PersistentVolume",
    "StorageClass", "PriorityClass", "IngressClass", "RuntimeClass", "APIService", "ClusterIssuer",
    "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "ClusterPolicy",
}  # fmt: skip
_NONE_HERE = "no Argo CD Application is in this repository: what syncs it is elsewhere"


@dataclass(frozen=True)
class Source:
    """One source of an Application: the repository, its folder and its branch."""

    repository: str
    path: str
    revision: str


@dataclass(frozen=True)
class Application:
    """An Application, or one that an ApplicationSet makes: then parts that are not known are `{{…}}`."""

    file: str
    name: str
    project: str
    sources: tuple[Source, ...]
    namespace: str = ""
    server: str = ""
    makes_namespace: bool = False
    is_generated: bool = False


@dataclass(frozen=True)
class Project:
    """An AppProject: what its Applications may do. None for a list that is not given."""

    file: str
    name: str
    repositories: tuple[str, ...]
    destinations: tuple[tuple[str, str], ...]
    cluster_kinds: tuple[tuple[str, str], ...]
    denied_cluster_kinds: tuple[tuple[str, str], ...]
    kinds: tuple[tuple[str, str], ...] | None
    denied_kinds: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Built:
    """What an overlay makes: its namespace, where it sets one, and the (group, kind) of its manifests."""

    folder: str
    namespace: str
    kinds: tuple[tuple[str, str], ...]


# --- reading ------------------------------------------------------------------------------------------


def applications(
    data: Any, file: str, repository: str = "", folders: Sequence[str] = ()
) -> Iterator[Application]:
    """Yield the Applications in a document.

    `repository` is the one that the document is in, `folders` are all that it has: for an ApplicationSet.
    """
    if not _is(data, "Application", "ApplicationSet"):
        return
    spec, metadata = document.mapping(data.get("spec")), document.mapping(data.get("metadata"))
    if OFF in document.mapping(metadata.get("annotations")):
        return
    name = str(metadata.get("name") or "")
    if data["kind"] == "Application":
        yield _application(spec, name, file)
        return
    made = generated.parameters(spec, lambda url: same_repository(url, repository), folders)
    all_made = list[Application]()
    # Where nobody knows: one, with all parts open.
    for given in [{}] if made is None else made:
        template = document.mapping(generated.filled_in(spec.get("template"), given))
        named = str(document.mapping(template.get("metadata")).get("name") or "{{")
        one = _application(
            document.mapping(template.get("spec")), name if "{{" in named else named, file
        )
        all_made.append(replace(one, is_generated=True))
    # Others are of other models' repositories, which have the same folders.
    ours = [
        one
        for one in all_made
        if any(same_repository(each.repository, repository) for each in one.sources)
    ]
    nothing = Application(file, name, "default", (Source("{{", "", ""),), is_generated=True)
    yield from ours or all_made or [nothing]


def _application(spec: Mapping[str, Any], name: str, file: str) -> Application:
    listed = spec.get("sources") if isinstance(spec.get("sources"), list) else [spec.get("source")]
    sources = tuple(
        Source(
            str(one.get("repoURL") or ""),
            str(one.get("path") or ""),
            str(one.get("targetRevision") or ""),
        )
        for one in listed or ()
        if isinstance(one, Mapping)
    )
    destination, policy = (
        document.mapping(spec.get("destination")),
        document.mapping(spec.get("syncPolicy")),
    )
    return Application(
        file=file,
        name=name,
        project=str(spec.get("project") or "default"),
        sources=sources,
        namespace=str(destination.get("namespace") or ""),
        server=str(destination.get("server") or destination.get("name") or ""),
        makes_namespace="CreateNamespace=true" in (policy.get("syncOptions") or ()),
    )


def projects(data: Any, file: str) -> Iterator[Project]:
    """Yield the AppProjects in a document."""
    if not _is(data, "AppProject"):
        return
    spec = document.mapping(data.get("spec"))
    namespaced = spec.get("namespaceResourceWhitelist")
    yield Project(
        file=file,
        name=str(document.mapping(data.get("metadata")).get("name") or ""),
        repositories=tuple(map(str, document.sequence(spec.get("sourceRepos")))),
        destinations=tuple(
            (str(one.get("server") or one.get("name") or ""), str(one.get("namespace") or ""))
            for one in document.sequence(spec.get("destinations"))
            if isinstance(one, Mapping)
        ),
        cluster_kinds=_kinds(spec.get("clusterResourceWhitelist")),
        denied_cluster_kinds=_kinds(spec.get("clusterResourceBlacklist")),
        kinds=_kinds(namespaced) if isinstance(namespaced, list) else None,
        denied_kinds=_kinds(spec.get("namespaceResourceBlacklist")),
    )


def _is(data: Any, *kinds: str) -> bool:
    return (
        isinstance(data, Mapping)
        and str(data.get("apiVersion") or "").startswith(_GROUP)
        and data.get("kind") in kinds
    )


def _kinds(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple(
        (str(one.get("group") or ""), str(one.get("kind") or ""))
        for one in document.sequence(value)
        if isinstance(one, Mapping)
    )


# --- judging ------------------------------------------------------------------------------------------


def judge_applications(
    found: Sequence[Application],
    overlays: Sequence[str],
    repository: str,
    url: str,
    branch: str,
    folders: Sequence[str] = (),
) -> Finding:
    """Judge whether an Application syncs each overlay, from `repository` (owner/name, or a URL).

    `folders` are all that can be built, `url` is what `repoURL` should be, `branch` the one that is deployed to; empty where nobody knows.
    """
    check = "argocd-applications"
    if not any(one.sources for one in found):
        return Finding(
            check, None, _NONE_HERE, "kubectl get applications --all-namespaces shows it"
        )
    parts, taken = list[Part](), set[str]()
    for folder in overlays:
        ours = [
            (one, each) for one in found for each in one.sources if _is_folder(each.path, folder)
        ]
        if not ours:
            fix = _synced(folder, found, [*overlays, *folders], taken)
            parts.append(
                Part(
                    False,
                    f"no Application syncs {folder}",
                    fix,
                )
            )
        for one, source in ours:
            parts += _source(one, source, repository, url, branch)
    return joined(check, parts)


def _synced(
    folder: str, found: Sequence[Application], folders: Sequence[str], taken: set[str]
) -> str:
    """Return how an Application comes to sync a folder: one that syncs none of `folders`, else a copy."""
    for one in found:
        if one.is_generated:
            return f"in {one.file}, under `directories` of its git generator: - path: {folder}"
        if one.file not in taken and not any(
            _is_folder(each.path, other) for each in one.sources for other in folders
        ):
            taken.add(one.file)
            return f"in {one.file}: path: {folder}"
    copy = posixpath.join(posixpath.dirname(found[0].file), f"{folder.replace('/', '-')}.yaml")
    return (
        f"in the deploy repository: cp {found[0].file} {copy}\n"
        f"in {copy}: path: {folder}, and a name and a namespace of its own"
    )


def _source(
    one: Application, source: Source, repository: str, url: str, branch: str
) -> Iterator[Part]:
    where = f"{one.name} in {one.file}"
    if "{{" not in source.repository and not same_repository(source.repository, repository):
        yield Part(
            False,
            f"{where} syncs {source.path} of {source.repository}, and promotion.yaml deploys to {repository}",
            f"in {one.file}: repoURL: {url or repository}",
        )
    revision = source.revision.removeprefix("refs/heads/")
    if branch and revision not in ("", "HEAD", branch) and "{{" not in revision:
        yield Part(
            False,
            f"{where} syncs {revision}, and deployments are pushed to {branch}",
            f"in {one.file}: targetRevision: {branch}",
        )
    yield Part(True, f"{one.name}: {source.path}")


def judge_project(
    found: Sequence[Application], known: Sequence[Project], built: Sequence[Built]
) -> Finding:
    """Judge whether the project of each overlay's Application allows what it makes."""
    check = "argocd-project"
    if not any(one.sources for one in found):
        return Finding(check, None, _NONE_HERE)
    by_name = {one.name: one for one in known}
    parts: list[Part] = []
    for overlay in built:
        for one in found:
            if not any(_is_folder(each.path, overlay.folder) for each in one.sources):
                continue
            project = by_name.get(one.project)
            if project is not None:
                parts += _allowed(one, project, overlay)
            elif "{{" in one.project:
                continue  # each child of an ApplicationSet has its own
            elif one.project == "default":
                parts.append(Part(True, f"{one.name} is of the project default, which allows all"))
            else:
                parts.append(
                    Part(
                        None,
                        f"the AppProject {one.project} of {one.name} is not in this repository",
                        f"kubectl get appproject {one.project} --namespace argocd --output yaml shows it",
                    )
                )
    return joined(check, parts, nothing="no overlay here is synced by an Application")


def _allowed(one: Application, project: Project, overlay: Built) -> Iterator[Part]:
    where = f"the AppProject {project.name} in {project.file}"
    for source in one.sources:
        if "{{" in source.repository:
            continue
        if not _repository_allowed(source.repository, project.repositories):
            yield Part(
                False,
                f"{where} does not allow the repository {source.repository}",
                f"in {project.file}, under sourceRepos: - {source.repository}",
            )
    namespace = overlay.namespace or one.namespace
    is_known = namespace != "" and "{{" not in namespace + one.server
    if is_known and not _is_destination(one.server, namespace, project.destinations):
        server = one.server or '"*"'
        yield Part(
            False,
            f"{where} does not allow the namespace {namespace} of {overlay.folder}",
            f"in {project.file}, under destinations: - {{server: {server}, namespace: {namespace}}}",
        )
    kinds = dict.fromkeys([*overlay.kinds, *([("", "Namespace")] if one.makes_namespace else [])])
    for group, kind in kinds:
        if kind in _OF_CLUSTER:
            if not _has(project.cluster_kinds, group, kind) or _has(
                project.denied_cluster_kinds, group, kind
            ):
                yield Part(
                    False,
                    f"{where} does not allow {kind}, which has no namespace: the whole sync would stop",
                    f'in {project.file}, under clusterResourceWhitelist: - {{group: "{group}", kind: {kind}}}',
                )
        elif _has(project.denied_kinds, group, kind):
            yield Part(
                False,
                f"{where} forbids the kind {kind} of {overlay.folder}: the whole sync would stop",
                f"in {project.file}, under namespaceResourceBlacklist: take the line of {kind} out",
            )
        elif project.kinds is not None and not _has(project.kinds, group, kind):
            yield Part(
                False,
                f"{where} does not allow the kind {kind} of {overlay.folder}: the whole sync would stop",
                f'in {project.file}, under namespaceResourceWhitelist: - {{group: "{group}", kind: {kind}}}',
            )
    yield Part(True, f"{project.name} allows {overlay.folder}")


def _is_folder(path: str, folder: str) -> bool:
    """Whether a source's path is the overlay's folder; `{{…}}` of an ApplicationSet is any name."""
    if "{{" not in path:
        return posixpath.normpath(path) == folder
    parts = re.split(r"\{\{.*?\}\}", path)
    return re.fullmatch(".+".join(map(re.escape, parts)), folder) is not None


def same_repository(one: str, other: str) -> bool:
    """Whether two addresses, or `owner/name`, name one repository."""
    first, second = _slug(one), _slug(other)
    if first == second:
        return True
    shorter, longer = sorted((first, second), key=len)
    return "/" in shorter and longer.endswith(f"/{shorter}")


def _slug(url: str) -> str:
    """Return host/owner/name of a Git URL, in lower case; `owner/name` stays."""
    text = re.sub(r"^\w[\w+.-]*://", "", url.strip().lower())
    text = text.rpartition("@")[2]
    text = re.sub(r"^([^/:]+):(?:\d+/)?(?=[^/])", r"\1/", text)
    return text.rstrip("/").removesuffix(".git").strip("/")


def _repository_allowed(url: str, patterns: Iterable[str]) -> bool:
    allowed = False
    for pattern in patterns:
        if pattern.startswith("!"):
            if _is_url(url, pattern[1:]):
                return False
        elif pattern == "*" or _is_url(url, pattern):
            allowed = True
    return allowed


def _is_url(url: str, pattern: str) -> bool:
    """Whether Argo CD takes a repository's URL for a pattern's: `*` stops at a slash, `**` does not.

    https and ssh addresses of one repository are two to it.
    Source: https://argo-cd.readthedocs.io/en/stable/user-guide/projects/
    """
    parts = re.split(r"(\*\*|\*|\?)", _normal(pattern))
    signs = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return (
        re.fullmatch("".join(signs.get(one) or re.escape(one) for one in parts), _normal(url))
        is not None
    )


def _normal(url: str) -> str:
    text = url.strip().lower().removesuffix(".git")
    if "://" not in text and "@" in text:
        return text.replace(":", "/", 1)
    return text.removeprefix("ssh://")


def _is_destination(server: str, namespace: str, known: Sequence[tuple[str, str]]) -> bool:
    allowed = False
    for cluster, pattern in known:
        denied = cluster.startswith("!") or pattern.startswith("!")
        at, name = cluster.removeprefix("!"), pattern.removeprefix("!")
        # A cluster's name and its address are two ways to say one thing: nobody here knows both.
        fits = not server or _glob(server, at) or ("://" in server) != ("://" in at)
        if fits and _glob(namespace, name):
            if denied:
                return False
            allowed = True
    return allowed


def _has(kinds: Sequence[tuple[str, str]], group: str, kind: str) -> bool:
    return any(_glob(group, one) and _glob(kind, other) for one, other in kinds)


def _glob(text: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(text, pattern)
