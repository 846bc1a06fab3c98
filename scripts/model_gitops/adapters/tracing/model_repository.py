"""The model's repository: commits and the model that each has, versions, recipes, metrics."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from model_gitops.adapters import git, git_tree, github, project_files, promotion_file
from model_gitops.adapters.gto_registry import Tags
from model_gitops.core.dvc import artifacts, pipeline
from model_gitops.core.flow import metrics
from model_gitops.core.flow.promotion import Promotion
from model_gitops.core.gto import records, tags
from model_gitops.core.lineage.facts import Registered, Source
from model_gitops.errors import InputError


@dataclass(frozen=True)
class ModelRepository:
    """A checkout, with what its server says; each commit is read once.

    `known` are the server's tags, `branches` the environments' branches as the server has them now
    (name → commit), `api` who is asked what a shallow checkout can't tell, and `name` the
    `owner/name`, empty where it has none.
    """

    promotion: Promotion
    checkout: git.Git
    known: Tags
    branches: Mapping[str, str]
    name: str = ""
    api: github.GitHub | None = None
    _models: dict[str, tuple[artifacts.Artifact | None, str]] = field(default_factory=dict)
    _files: dict[str, project_files.ProjectFiles] = field(default_factory=dict)
    _here: dict[str, bool] = field(default_factory=dict)
    _registered: dict[str, Registered | None] = field(default_factory=dict)

    # --- commits ----------------------------------------------------------------------------------

    def has(self, commit: str) -> bool:
        """Whether the repository has `commit`, a full hash; it is fetched where it must be."""
        if commit not in self._here:
            self._here[commit] = bool(commit) and self.checkout.find_commit(commit) == commit
        return self._here[commit]

    def source(self, commit: str, branch: str = "", *, taken_back: str = "") -> Source:
        """Return what the repository says of `commit`, and of `branch` where one is given.

        `taken_back` is the commit that a rollback took back, empty for none.
        """
        if not self.has(commit):
            return Source(commit, known=False, branch=branch)
        model, problem = self._model(commit)
        tip = self.branches.get(branch, "")
        tip_hash, tip_age = "", 0.0
        if tip and self.has(tip):
            tip_hash = self.model_hash(tip)
            tip_age = time.time() - self.checkout.made(tip)
        return Source(
            commit=commit,
            model_path=model.path if model else "",
            model_hash=model.hash if model else "",
            problem=problem,
            branch=branch,
            on_branch=self._on_branch(commit, tip) if branch else None,
            tip=tip,
            tip_hash=tip_hash,
            tip_age=tip_age,
            tip_taken_back=self._is_taken_back(tip, taken_back),
            edited=self._edited(commit),
        )

    def _is_taken_back(self, tip: str, taken_back: str) -> bool:
        """Whether the branch has nothing newer than what a rollback took back."""
        if not tip or not taken_back:
            return False
        if tip == taken_back:
            return True
        return self.has(tip) and self.has(taken_back) and bool(self._on_branch(tip, taken_back))

    def _on_branch(self, commit: str, tip: str) -> bool | None:
        if not tip:
            return False  # the server has no such branch
        if not self.has(tip):
            return None
        if commit == tip or self.checkout.is_ancestor(commit, tip):
            return True
        # Where history is cut off, "not an ancestor" may be wrong.
        if not self.checkout.is_shallow():
            return False
        try:
            return self.api.is_ancestor(commit, tip) if self.api else None
        except github.ApiError:
            return None  # its pull requests say why nobody answers

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

    # --- the model of a commit --------------------------------------------------------------------

    def model_hash(self, commit: str) -> str:
        """Return the model's hash at `commit`, or an empty string."""
        model, _ = self._model(commit)
        return model.hash if model else ""

    def rules(self, commit: str) -> Promotion | None:
        """Return promotion.yaml as `commit` has it; None where it has none that can be read."""
        with suppress(InputError):
            return promotion_file.read_at(
                self.checkout, commit, posixpath.join(self.promotion.folder, promotion_file.NAME)
            )
        return None

    def recipe(self, commit: str) -> pipeline.Recipe:
        """Return what `commit` says of how its model was made."""
        model, _ = self._model(commit)
        if model is None:
            return pipeline.Recipe()
        tree = git_tree.Tree(self.checkout, commit)
        try:
            return pipeline.read(model, self._files_of(commit), tree.content, tree.attributes)
        except InputError as error:
            return pipeline.Recipe(problems=(f"at {commit[:12]}, {error.message}",))

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

    def _model(self, commit: str) -> tuple[artifacts.Artifact | None, str]:
        """Return the model as `commit` has it, or None and why not."""
        if commit not in self._models:
            try:
                model = artifacts.find(self.promotion.model, self._files_of(commit))
                self._models[commit] = model, ""
            except InputError as error:
                self._models[commit] = None, f"at {commit[:12]}, {error.message}"
        return self._models[commit]

    def _files_of(self, commit: str) -> project_files.ProjectFiles:
        """Return DVC's files of `commit`, each read once."""
        if commit not in self._files:
            self._files[commit] = project_files.at(self.checkout, commit)
        return self._files[commit]

    # --- versions ---------------------------------------------------------------------------------

    @property
    def registry(self) -> tags.Registry:
        """The versions and stages, by the server's tags."""
        return self.known.registry

    def registered(self, name: str) -> Registered | None:
        """Return what the tags say of `model@version`; None for text of another form."""
        if name not in self._registered:
            self._registered[name] = self._read_registered(name)
        return self._registered[name]

    def _read_registered(self, name: str) -> Registered | None:
        parsed = tags.parse(name.replace(":", "="))
        if parsed is None or parsed.action != "register":
            return None
        if parsed.model != self.promotion.model:
            return Registered(parsed.model, parsed.version)
        found = self.registry.version(parsed.model, parsed.version)
        if found is None or not self.has(found.commit):
            return Registered(parsed.model, parsed.version, found.tag if found else "")
        model_hash = self.model_hash(found.commit)
        record = records.read(self.known.message(found.tag))
        return Registered(
            found.model, found.version, found.tag, found.commit, model_hash,
            sha256=record[1] if record and record[0] == model_hash else "",
        )  # fmt: skip

    def held(self, stage: str) -> tuple[Registered | None, str]:
        """Return the version that a stage holds, or None; and why it can't be said."""
        model = self.promotion.model
        try:
            found = self.registry.stage(model, stage)
        except InputError as error:
            return None, error.message
        if found is None:
            return None, ""
        if not tags.is_version(found.version):
            # Of such a stage GTO gives the commit. Nobody may take it for a stage that holds nothing.
            return None, f"its tag {found.tag} is at {found.commit[:12]}, which no version names"
        return self.registered(f"{model}@{found.version}"), ""

    def version_of(self, model_hash: str) -> Registered | None:
        """Return the highest version that has this model, or None."""
        model = self.promotion.model
        for version in self.known.with_model(model, model_hash):
            found = self.registered(f"{model}@{version.version}")
            if found and found.model_hash == model_hash:
                return found
        return None
