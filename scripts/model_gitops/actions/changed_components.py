"""Say which components of the training pipelines are to be built."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import changes, deployed_components, git, project_files, promotion_file
from model_gitops.adapters.deployed_components import Deployed
from model_gitops.core.flow import components, spelling
from model_gitops.core.flow.components import Changed, Component, Scope
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.markdown import code
from model_gitops.errors import InputError
from model_gitops.options import (
    DeployBranch,
    DeployKey,
    DeployToken,
    KnownHosts,
    flag,
    lines,
    option,
)

OUTPUTS = ("components", "any", "pipelines")

# More jobs no matrix of GitHub's may have.
_MOST = 256


def command(
    base: Annotated[
        str,
        option(
            "base",
            "Branch or commit that the checkout is compared with. Default: from the event; of one that"
            " changes nothing, as a schedule, every component.",
        ),
    ] = "",
    deployed: Annotated[
        bool,
        flag(
            "deployed",
            "Whether each component is compared with the commit that its deployed image was built from, as"
            " the first training environment's overlay says. For pushes.",
        ),
    ] = False,
    config: Annotated[
        str, option("config", "promotion.yaml, or its folder. Default: each of the repository.")
    ] = "",
    ignore: Annotated[
        str,
        option(
            "ignore", "Folders whose promotion.yaml is no model's, one a line: examples, tests."
        ),
    ] = "",
    deploy_branch: DeployBranch = "",
    token: DeployToken = "",
    ssh_key: DeployKey = "",
    known_hosts: KnownHosts = "",
) -> None:
    """Find the components of each promotion.yaml, and put out those that are to be built."""
    repository = git.open_repository(Path.cwd())
    change = changes.find(runner.context(), repository, base)
    only = promotion_file.in_repository(promotion_file.place(config), repository) if config else ""
    trees = _Trees(
        repository, change, only, [spelling.ignored_folder(one) for one in lines(ignore)]
    )
    with deployed_components.opened(token, ssh_key, known_hosts, deploy_branch) as places:
        found = [_of_model(trees, one, places if deployed else None) for one in trees.configs()]
    found_in = [model for model in found if model.changed]
    changed = [
        (number, model, one) for number, model in enumerate(found_in) for one in model.changed
    ]
    if len(changed) > _MOST:
        raise InputError(
            f"{len(changed)} components are to be built, and a matrix has {_MOST} jobs at most",
            fix="split the change",
        )
    for model in found:
        for name in model.removed:
            runner.warning(
                f"{name} is removed: its image is built no more, and what runs goes on running"
            )
    runner.write_outputs(
        {
            "components": json.dumps(
                [
                    components.entry(one, number, model.config, model.promotion)
                    for number, model, one in changed
                ]
            ),
            "any": "true" if changed else "false",
            "pipelines": json.dumps(
                [
                    components.pipeline(number, model.config, model.promotion, model.changed)
                    for number, model in enumerate(found_in)
                    if components.deploys(model.promotion)
                ]
            ),
        }
    )
    runner.write_summary(_summary(change, found, deployed=deployed))


@dataclass(frozen=True)
class _Model:
    """What was found of one promotion.yaml."""

    config: str
    promotion: Promotion
    components: Sequence[Component] = ()
    changed: Sequence[Changed] = ()
    removed: Sequence[str] = ()
    notes: Sequence[str] = field(default=())


class _Trees:
    """The commits that are read, each once for all models and components."""

    def __init__(
        self, repository: git.Git, change: changes.Change, only: str, ignored: Sequence[str]
    ) -> None:
        self.repository = repository
        self.change = change
        self.head = change.commit
        self._only, self._ignored = only, ignored
        self.listing = cache(partial(changes.listing, repository))
        self.links = cache(partial(changes.links, repository))
        self.files = cache(partial(project_files.at, repository))
        self.components = cache(self._components)
        self.changed = cache(self._changed)

    def configs(self) -> list[str]:
        """Return the promotion.yaml files that count, from the top."""
        if self._only:
            return [self._only]
        return spelling.configs(self.listing(self.head), self._ignored)

    def promotion(self, commit: str, config: str) -> Promotion | None:
        return promotion_file.read_at(self.repository, commit, config)

    def _components(self, commit: str, config: str) -> dict[str, Component]:
        """Return a model's components at a commit that is compared with; none where its rules are broken."""
        with suppress(InputError):
            if found := self.promotion(commit, config):
                listed = components.find(found.components, self.listing(commit))
                return {one.name: one for one in listed}
        return {}

    def _changed(self, bases: tuple[str, ...]) -> list[str]:
        """Return the paths that differ from some of the commits."""
        return changes.paths(self.repository, changes.Change(self.head, bases))


def _of_model(trees: _Trees, config: str, places: Deployed | None) -> _Model:
    promotion = trees.promotion(trees.head, config)
    if promotion is None:
        raise InputError.of(
            "config", config, f"there is no such file at {trees.head[:12]}", fix="commit it first"
        )
    own = components.find(promotion.components, trees.listing(trees.head))
    files = trees.files(trees.head)
    files.bring(path for one in own for path in components.read_by(one))
    links = trees.links(trees.head)
    scopes = {one.name: components.scope(one, files.get, links) for one in own}
    bases: dict[str, tuple[tuple[str, ...] | None, str]]
    if places and own and components.deploys(promotion):
        images = places.images(promotion)
        bases = {}
        for one in own:
            commit, why = deployed_components.compared_with(
                images.get(one.entry), trees.head, trees.repository
            )
            bases[one.name] = ((commit,) if commit else None, why)
    else:
        bases = {one.name: (trees.change.bases, trees.change.why) for one in own}
    changed = [
        hit for one in own if (hit := _touched(trees, config, scopes[one.name], *bases[one.name]))
    ]
    before = {
        one.folder
        for base in trees.change.bases or ()
        for one in trees.components(base, config).values()
    }
    notes = [note for one in own for note in _notes(one.name, scopes[one.name])]
    return _Model(
        config, promotion, own, changed, sorted(before.difference(one.folder for one in own)), notes
    )


def _touched(
    trees: _Trees, config: str, scope: Scope, bases: tuple[str, ...] | None, why: str
) -> Changed | None:
    one = scope.component
    if bases is None:
        return Changed(one, why=why or "every component counts")
    known = [trees.components(base, config).get(one.name) for base in bases]
    if any(old is None for old in known) or not known:
        return Changed(one, why="new", is_new=True)
    if path := scope.first(trees.changed(bases)):
        return Changed(one, path=path)
    # Where its context or its image's name is another one, no file needs to have changed.
    if any(old != one for old in known):
        return Changed(one, path=config)
    return None


def _notes(name: str, scope: Scope) -> list[str]:
    found = []
    if scope.uses.unsure:
        found.append(
            f"{code(name)}: everything in {code(scope.component.context)} counts, as the Dockerfile does not"
            f" tell: {code(scope.uses.unsure, longest=300)}"
        )
    found += [
        f"{code(name)}: what {code(one, longest=300)} has is not in this repository, and a change there is not seen"
        for one in scope.uses.remote
    ]
    return found


def _summary(change: changes.Change, found: Sequence[_Model], *, deployed: bool) -> str:
    rows = [(model, one) for model in found for one in model.changed]
    every = sum(len(model.components) for model in found)
    title = f"{len(rows)} of {every} components" if rows else "No component"
    told = [f"### To be built: {title}", ""]
    if change.bases is None and not deployed:
        told += [f"Every component counts{': ' + change.why if change.why else ''}.", ""]
    if not every:
        told += [
            "No promotion.yaml of this repository has a component: a folder with a Dockerfile.",
            "",
        ]
    if rows:
        told += ["| component | image | built because of |", "|---|---|---|"]
        told += [
            f"| {code(one.component.folder)} | {code(one.component.image)} |"
            f" {code(one.path) if one.path else one.why} |"
            for _, one in rows
        ]
        told.append("")
    told += [f"- {note}" for model in found for note in model.notes]
    told += [f"- {code(name)} is removed." for model in found for name in model.removed]
    return "\n".join(told) + "\n"
