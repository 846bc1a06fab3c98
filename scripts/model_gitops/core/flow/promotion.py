"""`promotion.yaml`: the flow as data, and the rule of which hop is allowed."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from model_gitops.core.flow import (
    building,
    commands,
    directions,
    environment,
    metrics,
    spelling,
    training,
)
from model_gitops.core.flow.building import Build
from model_gitops.core.flow.directions import Better
from model_gitops.core.flow.environment import Environment
from model_gitops.core.flow.training import Training
from model_gitops.core.gto import tags
from model_gitops.core.image import names
from model_gitops.core.image.signature import Signer, is_public_key
from model_gitops.errors import InputError, RefusedError

# Outside of a model's folder, and yet its own: DVC's settings and the workflows themselves.
WATCHED = (".dvc/config", ".dvcignore", ".github/workflows")


@dataclass(frozen=True)
class Rule:
    """A candidate's metric must not be worse than the champion's by more than `tolerance`.

    `tolerance` is absolute, in the metric's own unit; `is_relative`: a share of the champion's value
    (0.02 for `2%`). `minimum` and `maximum` bound the candidate even where nothing runs yet.
    `measured`: both numbers come from one test set, by compare-models. `significant`: the whole
    95 % interval of the difference must be within the tolerance. `file` is a path from the
    repository's top, `written` the one that promotion.yaml has, which starts in its own folder.
    """

    file: str
    key: str
    better: Literal["higher", "lower"]
    tolerance: float = 0.0
    minimum: float | None = None
    maximum: float | None = None
    is_relative: bool = False
    measured: bool = False
    significant: bool = False
    written: str = field(default="", compare=False)
    # As `measured`, where the two commits' numbers come from other test data or other code.
    measured_when_changed: bool = False

    @property
    def metric(self) -> str:
        """The metric as promotion.yaml names it, `file:key`."""
        return f"{self.written or self.file}:{self.key}"

    def tolerated(self, champion: float) -> float:
        """Return how much worse than `champion` is accepted, in the metric's own unit."""
        return self.tolerance * abs(champion) if self.is_relative else self.tolerance


@dataclass(frozen=True)
class Comparison:
    """What compare-models is told: the file of the predictions, and the column of its slices.

    Empty strings for none; the file's path is from the repository's top. A pickle is code, and is loaded only where `allow_pickle` says so.
    """

    predictions: str = ""
    slices: str = ""
    allow_pickle: bool = False
    test_data: tuple[str, ...] = ()


@dataclass(frozen=True)
class Promotion:
    """The whole of promotion.yaml. `environments` are in the order of promotion.

    `folder` is where promotion.yaml is, from the repository's top; empty for the top itself. `model` is
    GTO's name, `folder:name` in a subfolder. `metrics` says of more metrics than the gate has which
    direction is better.
    """

    model: str
    image: str
    environments: tuple[Environment, ...]
    # The repository of the registry that the model is pushed to, too; empty: to none.
    artifact: str = ""
    deploy_repository: str = ""
    stage_on: Literal["merge", "pull_request"] = "merge"
    # One branch, which stands for the first environment; later ones are promoted by hand.
    is_trunk: bool = False
    gate: tuple[Rule, ...] = field(default=())
    # Whether a metric that only the candidate has passes, where something runs.
    allow_new_metrics: bool = False
    push_candidates: bool = True
    compare: Comparison = field(default_factory=Comparison)
    # Who must have signed what a later environment takes over; None: nobody.
    signatures: Signer | None = None
    folder: str = ""
    metrics: Mapping[str, Better | None] = field(default_factory=dict)
    build: Build = field(default_factory=Build)
    # Lines of bash by name (core.flow.commands.NAMES); an empty one is skipped.
    commands: Mapping[str, str] = field(default_factory=dict)
    # What changed-models counts as the model's too, from the top.
    watch: tuple[str, ...] = WATCHED
    # Who pushes to the deploy repository, as protect's `--deployer` names it.
    deployer: str = ""
    # None: the repository has no training pipeline.
    training: Training | None = None

    @property
    def name(self) -> str:
        """The model's name without its folder: what an overlay calls its image."""
        return self.model.rpartition(":")[2]

    @property
    def components(self) -> Training:
        """`training`, and where promotion.yaml has none its defaults: how components are found and built."""
        return self.training or training.parse(
            {}, "promotion.yaml", model=self.name, image=self.image, folder=self.folder,
            environments=[one.name for one in self.environments],
        )  # fmt: skip

    def overlays_of(self, image: str) -> tuple[str, ...]:
        """Return the overlays that set `image`: the model's own, or a component's of its training."""
        if image == self.image:
            return tuple(one.overlay for one in self.environments)
        if self.training and self.training.is_of_component(image):
            return tuple(map(self.training.overlay, self.training.environments))
        return ()

    def better(self, file: str, key: str) -> Better | None:
        """Return which direction of a metric is better, None where nobody can say.

        `file` is a path from the top. The gate's rules count first, then `metrics:`, then the name.
        """
        for rule in self.gate:
            if (rule.file, rule.key) == (file, key):
                return rule.better
        return directions.of(file, key, self.metrics)

    def of_branch(self, branch: str) -> Environment | None:
        """Return the environment that `branch` stands for, or None."""
        return next((one for one in self.environments if one.branch == branch), None)

    def before(self, environment: Environment) -> Environment | None:
        """Return the environment that `environment` takes changes from; None for the first."""
        place = self.environments.index(environment)
        return self.environments[place - 1] if place else None

    def by_hand(self, name: str) -> Environment:
        """Return the later environment `name`, which no branch but a person promotes to. Raises InputError."""
        later = {one.name: one for one in self.environments[1:]}
        if not self.is_trunk:
            raise InputError.of(
                "environment", name, "promotion.yaml has no `flow: trunk`: the event's branch says which one",
                fix="leave `environment` out",
            )  # fmt: skip
        if name not in later:
            raise InputError.of(
                "environment", name, f"promotions by hand are those to {', '.join(later) or 'no environment'}",
                fix=f"environment: {next(iter(later), 'add one to promotion.yaml')}",
            )  # fmt: skip
        return later[name]

    def target(self, base: str, head: str) -> Environment:
        """Return the environment that a change into branch `base` promotes to.

        `head` is the branch that the change comes from, or empty for a push. Raises RefusedError
        for a hop that skips an environment, or goes backwards.
        """
        target = self.of_branch(base)
        branches = ", ".join(one.branch for one in self.environments)
        if target is None and self.is_trunk:
            raise RefusedError(
                f"branch {base!a} is no environment's branch: with `flow: trunk` there is only"
                f" {self.environments[0].branch}",
                fix=f"open the pull request into {self.environments[0].branch}; a later environment is promoted by"
                " hand: run promote-environment.yml",
            )
        if target is None:
            raise RefusedError(
                f"branch {base!a} is no environment's branch: these are {branches}",
                fix="open the pull request into one of these branches, or add the environment to "
                "promotion.yaml",
            )
        if not head:
            return target
        before = self.before(target)
        if before is None:
            if (source := self.of_branch(head)) is None:
                return target
            raise RefusedError(
                f"the hop {head} → {base} goes backwards: {source.name} comes after {target.name}",
                fix=f"branch off {base} and open the pull request from that branch",
            )
        if head != before.branch:
            # Who names a branch so looks for a short way, and there is none.
            urgent = re.match(r"(hotfix|release)s?[/-]", head)
            raise RefusedError(
                f"the hop {_shown(head)} → {base} is not allowed: {target.name} takes changes only from "
                f"branch {before.branch!r} ({before.name})",
                fix=f"merge into {before.branch!r} first, then open a pull request "
                f"from {before.branch!r} into {base!r}"
                + (". What is urgent: A hotfix, in docs/branching.md" if urgent else ""),
            )
        return target


def _shown(name: str) -> str:
    """A letter that only looks like another one, or turns the line around, is shown by its number."""
    return name if name.isascii() else ascii(name)


def parse(document: object, *, source: str = "promotion.yaml", folder: str = "") -> Promotion:
    """Build a Promotion from the parsed and schema-checked YAML `document` of `folder`.

    Raises InputError, naming `source`, for what the schema can't say: two environments with one
    name, branch, stage or overlay, an overlay that is not each environment's own, a path out of the
    repository, or a model name that GTO would refuse.
    """
    data: Any = document
    own = commands.parse(data.get("commands", {}), source)
    _refuse_control_characters({**data, "signatures": _without_key(data)}, source)
    deploy = data.get("deploy", {})
    approvals = data.get("approvals", 0)
    model = _model(data["model"], folder, source)
    is_trunk = data.get("flow") == "trunk"
    environment.check_branches(data["environments"], is_trunk, source)
    environments = tuple(
        environment.parse(
            one,
            source,
            branch=data["environments"][0]["branch"] if is_trunk else one["branch"],
            path=deploy.get("path", environment.PATH),
            model=model.rpartition(":")[2],
            approvals=approvals,
            verify=data.get("verify"),
            folder=folder,
        )
        for one in data["environments"]
    )
    for what in ("name", *(() if is_trunk else ("branch",)), "path", "stage"):
        seen = [getattr(one, what) for one in environments]
        if len(set(seen)) != len(seen):
            raise InputError(
                f"{source}: two environments have the same {what}: {', '.join(map(repr, seen))}",
                fix=f"give each environment a {what} of its own",
            )
    image, build = building.parse(data["image"], source, folder)
    pipeline = None
    if "training" in data:
        pipeline = training.parse(
            data["training"],
            source,
            model=model.rpartition(":")[2],
            image=image,
            folder=folder,
            environments=[one.name for one in environments],
        )
        _refuse_shared_overlay(pipeline, environments, source)
    compare = data.get("compare", {})
    predictions = compare.get("predictions", "")
    return Promotion(
        model=model,
        image=image,
        artifact=_artifact(data.get("artifact", ""), source),
        build=build,
        commands=own,
        environments=environments,
        is_trunk=is_trunk,
        deploy_repository=deploy.get("repository", ""),
        deployer=deploy.get("deployer", ""),
        stage_on=data.get("stage-on", "merge"),
        gate=tuple(_rule(one, source, folder) for one in data.get("gate", [])),
        allow_new_metrics=data.get("new-metrics") == "allow",
        push_candidates=data.get("push-candidates", True),
        compare=Comparison(
            predictions=spelling.from_top(predictions, folder, f"compare.predictions (in {source})")
            if predictions
            else "",
            slices=compare.get("slices", ""),
            allow_pickle=compare.get("allow-pickle", False),
            test_data=tuple(
                spelling.from_top(one, folder, f"compare.test-data (in {source})")
                for one in compare.get("test-data", [])
            ),
        ),
        signatures=_signer(data["signatures"], source) if "signatures" in data else None,
        folder=folder,
        watch=tuple(spelling.from_top(one, folder, f"watch (in {source})") for one in data["watch"])
        if "watch" in data
        else WATCHED,
        metrics={
            _metric(name, folder, source): None if better == "neither" else better
            for name, better in data.get("metrics", {}).items()
        },
        training=pipeline,
    )


def _refuse_shared_overlay(
    pipeline: Training, environments: tuple[Environment, ...], source: str
) -> None:
    serving = {one.overlay for one in environments}
    for name in pipeline.environments:
        if pipeline.overlay(name) in serving:
            raise InputError.of(
                f"training.path (in {source})", pipeline.overlay(name),
                "an environment serves from this overlay, and a kustomization is of one of both",
                fix=f"path: {training.PATH}",
            )  # fmt: skip


def _model(name: str, folder: str, source: str) -> str:
    """Return GTO's name of the model. Raises InputError for one that GTO does not take."""
    full = spelling.model_name(name, folder)
    if tags.is_model_name(full) and ".." not in full.partition(":")[0].split("/"):
        return full
    if tags.is_model_name(name) and ":" not in name:
        raise InputError.of(
            f"model (in {source})",
            name,
            f"GTO would call it {full}, and takes no folder of that name",
            fix="rename the folder of promotion.yaml: letters, numbers, '.', '-', '_' and '/'",
        )
    raise InputError.of(
        f"model (in {source})",
        name,
        "it is no name that GTO accepts",
        fix="use letters, numbers, '-', '_' and '/', with a letter or number at both ends",
    )


def _artifact(value: str, source: str) -> str:
    """Return the artifact's repository. Raises InputError."""
    if value and not names.is_qualified(value):
        raise InputError.of(
            f"artifact (in {source})", value, "it is no repository of a registry, without a tag",
            fix="artifact: ghcr.io/OWNER/NAME-model",
        )  # fmt: skip
    return value


def _metric(name: str, folder: str, source: str) -> str:
    """Return a name under `metrics:`, its file's path from the top; a plain name stays."""
    file, colon, key = name.partition(":")
    if not colon:
        return name
    return f"{spelling.from_top(file, folder, f'metrics (in {source})')}:{key}"


def _without_key(data: Any) -> Any:
    """Return what promotion.yaml says of signatures, less the key: that alone has several lines."""
    return {key: one for key, one in data.get("signatures", {}).items() if key != "key"}


def _signer(entry: Any, source: str) -> Signer:
    signer = Signer(entry.get("key", ""), entry.get("identity", ""), entry.get("issuer", ""))
    if signer.key:
        if not is_public_key(signer.key):
            raise InputError.of(
                f"signatures.key (in {source})", signer.key, "it is no public key as PEM",
                fix="key: | and below it, indented, the lines of cosign.pub, `-----BEGIN PUBLIC KEY-----` first",
            )  # fmt: skip
        if signer.identity or signer.issuer:
            raise InputError(
                f"{source}: `signatures` has both a key and an identity, and each is enough",
                fix="give `key`, or `identity` and `issuer`",
            )
    elif not (signer.identity and signer.issuer):
        raise InputError(
            f"{source}: `signatures` does not say who must have signed",
            fix="give `key`, or `identity` and `issuer`",
        )
    return signer


def _refuse_control_characters(node: Any, source: str) -> None:
    """Refuse a line break at a value's end, which a schema's `$` lets pass, and its like."""
    if isinstance(node, str) and any(ord(one) < 32 or ord(one) == 127 for one in node):
        raise InputError(
            f"{source}: the value {node[:100]!r} holds a line break or another control character",
            fix="write it on one line, without `|` or a \\n in double quotes",
        )
    if isinstance(node, dict | list):
        for one in node.values() if isinstance(node, dict) else node:
            _refuse_control_characters(one, source)


def _rule(entry: Any, source: str, folder: str) -> Rule:
    written, _, key = entry["metric"].partition(":")
    file = spelling.from_top(written, folder, f"metric (in {source})")
    limits = {name: entry[name] for name in ("minimum", "maximum") if name in entry}
    text = str(entry.get("tolerance", 0))
    is_relative = text.endswith("%")
    limits["tolerance"] = _percent(text) if is_relative else entry.get("tolerance", 0)
    for name, limit in limits.items():
        # YAML has .nan and .inf: no comparison with them ever refuses a candidate.
        if metrics.number(limit) is None:
            raise InputError.of(
                f"{name} (in {source})",
                entry[name],
                "it is no finite number",
                fix=f"{name}: 0.01",
            )
    significant = entry.get("significant", False)
    if significant and entry.get("measured") is not True:
        raise InputError.of(
            f"significant (in {source})",
            "true",
            "only a measured difference has an interval",
            fix=f"metric: {entry['metric']}, measured: true, significant: true",
        )
    return Rule(
        file=file,
        written=posixpath.normpath(written),  # as DVC writes it
        key=key,
        better=entry["better"],
        tolerance=float(limits["tolerance"]),
        minimum=entry.get("minimum"),
        maximum=entry.get("maximum"),
        is_relative=is_relative,
        measured=entry.get("measured") is True,
        measured_when_changed=entry.get("measured") == "when-changed",
        significant=significant,
    )


def _percent(text: str) -> float:
    return float(re.sub(r"\s*%$", "", text)) / 100
