"""What to register and what to assign: decided from the registry's tags and the model's hash."""

from __future__ import annotations

from dataclasses import dataclass

from model_gitops.core.gto import tags, versions
from model_gitops.errors import InputError, RefusedError


@dataclass(frozen=True)
class Request:
    """What was asked for. `stage` and `version` are empty where they are left to us."""

    model: str
    stage: str = ""
    version: str = ""
    bump: str = "patch"
    commit: str = ""


@dataclass(frozen=True)
class Plan:
    """Which version it is, at which commit, and which tags are missing.

    `previous` is the version that the stage held before (without a stage: the highest one). A tag
    that is new is in `new_tags`, in the order of writing.
    """

    version: str
    commit: str
    version_tag: str
    stage_tag: str
    previous: str
    new_tags: tuple[str, ...]

    @property
    def operation(self) -> str:
        """`registered`, `assigned`, `registered-and-assigned` or `none`."""
        done = {self.version_tag: "registered", self.stage_tag: "assigned"}
        return "-and-".join(done[tag] for tag in self.new_tags) or "none"


# A file system takes 255 bytes a part: the name, `.lock`, and room for what is counted up.
_LONGEST_PART, _LONGEST_TAG = 230, 1000


def check(request: Request) -> None:
    """Refuse names that GTO would not take. Raises InputError."""
    if not tags.is_model_name(request.model):
        raise InputError.of(
            "model",
            request.model,
            "GTO takes letters, digits, `_`, `-` and `/`, first and last a letter or a digit; "
            "in a subfolder's dvc.yaml it is `folder:name`",
            fix="give the name under `artifacts:` of dvc.yaml",
        )
    if request.stage and not tags.is_stage_name(request.stage):
        raise InputError.of(
            "stage",
            request.stage,
            "GTO takes letters, digits, `_`, `-` and `/`, first and last a letter or a digit",
            fix="stage: staging",
        )
    if request.version and not tags.is_version(request.version):
        raise InputError.of(
            "version", request.version, "it is no version as GTO writes it", fix="version: v1.2.3"
        )
    wanted = {
        "model": tags.guard_ref(request.model),
        "version": tags.version_tag(request.model, request.version or versions.FIRST_VERSION),
        "stage": tags.stage_tag(request.model, request.stage, 1),
    }
    for name, tag in wanted.items():
        if not tags.is_ref(tag):
            raise InputError.of(
                name,
                getattr(request, name),
                "Git takes no tag of that name: a part between slashes is empty, starts or ends with"
                " a dot, ends with `.lock`, or holds `..`",
                fix=f"{name}: a name without such a part",
            )
        if len(tag) > _LONGEST_TAG or any(len(part) > _LONGEST_PART for part in tag.split("/")):
            problem = f"a tag of {len(tag)} characters would come of it: too many for a file's name"
            raise InputError.of(name, getattr(request, name), problem, fix="give a shorter name")
    if request.bump not in versions.BUMPS:
        raise InputError.of(
            "bump", request.bump, "it is none of major, minor, patch", fix="bump: patch"
        )


def decide(
    request: Request, registry: tags.Registry, same_model: frozenset[str] = frozenset()
) -> Plan:
    """Decide. `same_model`: the commits of registered versions that hold the model of our commit.

    Raises InputError for a version that is elsewhere, RefusedError for what a person took back.
    """
    if registry.is_deprecated(request.model):
        raise RefusedError(
            f"the model {request.model!r} is deprecated: its newest tag says so",
            fix=f"git push --delete origin '{tags.version_tag(request.model, 'deprecated')}'"
            " takes that back (list the tags with `gto history`)",
        )
    version = (
        _explicit(request, registry, same_model)
        if request.version
        else _implied(request, registry, same_model)
    )
    new_tags = [] if registry.version(request.model, version.version) else [version.tag]
    stage_tag, previous = "", ""
    if not request.stage:
        highest = registry.highest(request.model)
        previous = highest.version if highest else ""
    else:
        try:
            holder = registry.stage(request.model, request.stage)
        except InputError:  # tags that anybody may push must not stop a deployment's own
            holder = None
        previous = holder.version if holder else ""
        if holder and (holder.version, holder.commit) == (version.version, version.commit):
            stage_tag = registry.assignment(request.model, request.stage)
        else:
            counter = registry.next_counter(request.model)
            stage_tag = tags.stage_tag(request.model, request.stage, counter)
            new_tags.append(stage_tag)
    return Plan(version.version, version.commit, version.tag, stage_tag, previous, tuple(new_tags))


def _implied(request: Request, registry: tags.Registry, same_model: frozenset[str]) -> tags.Version:
    model, commit = request.model, request.commit
    # GTO has one version a commit: there, nothing else can be right.
    if here := registry.version_at(model, commit):
        return here
    _refuse_withdrawn(request, registry)
    # The registry follows the model, not the commit: a merge commit has the version of its model.
    if known := registry.version_at(model, *same_model):
        return known
    name = registry.next_version(model, request.bump)
    return tags.Version(model, name, commit, tags.version_tag(model, name))


def _explicit(
    request: Request, registry: tags.Registry, same_model: frozenset[str]
) -> tags.Version:
    model, name, commit = request.model, request.version, request.commit
    if known := registry.version(model, name):
        if commit and known.commit != commit and known.commit not in same_model:
            raise InputError.of(
                "version",
                name,
                f"the tag `{known.tag}` exists, at commit {known.commit[:12]} with another model;"
                f" commit {commit[:12]} can't have it too",
                fix="leave `version` out: the next free version is taken",
            )
        return known
    if not commit:
        raise InputError.of(
            "version",
            name,
            f"{model!r} has no such version; it has: "
            + (", ".join(v.version for v in registry.versions(model)[-20:]) or "none"),
            fix="give one of these, or leave `version` out",
        )
    if registry.is_taken(model, name):
        raise InputError.of(
            "version",
            name,
            f"the tag `{tags.version_tag(model, name)}` is used up: the version was deregistered,"
            " or the tag is a lightweight one, which GTO does not read",
            fix="leave `version` out: the next free version is taken",
        )
    if here := registry.version_at(model, commit):
        raise InputError.of(
            "version",
            name,
            f"commit {commit[:12]} is registered as {here.version}, and GTO has one version a commit",
            fix=f"version: {here.version}",
        )
    _refuse_withdrawn(request, registry)
    return tags.Version(model, name, commit, tags.version_tag(model, name))


def _refuse_withdrawn(request: Request, registry: tags.Registry) -> None:
    if withdrawn := registry.deregistered_at(request.model, request.commit):
        raise RefusedError(
            f"{withdrawn} of {request.model!r}, at commit {request.commit[:12]}, was deregistered:"
            " somebody took this version back",
            fix=f"gto register {request.model} {request.commit[:12]} --version {withdrawn} --force"
            " registers it again; or register another commit",
        )
