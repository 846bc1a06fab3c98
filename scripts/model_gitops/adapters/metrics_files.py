"""The metrics of a commit: from Git, or where DVC keeps the file, from its remote. Never the checkout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_gitops import runner
from model_gitops.adapters import git_tree, paths, project_files, scratch
from model_gitops.adapters.git import Git
from model_gitops.core.dvc import artifacts, pipeline
from model_gitops.core.flow import metrics
from model_gitops.errors import InputError


@dataclass
class MetricsFiles:
    """The files of one commit, each read once.

    `remote` and `settings` are the DVC remote and options of it, for files that DVC keeps.
    """

    git: Git
    commit: str
    model: str
    remote: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    _values: dict[str, dict[str, Any]] = field(default_factory=dict)
    _writers: dict[str, pipeline.Writer | None] = field(default_factory=dict)

    def values(self, file: str) -> dict[str, Any]:
        """Return the file's values by dotted key; empty where the commit has no such file.

        Raises InputError for a file that can't be parsed, ExternalError where it can't be pulled.
        """
        if file not in self._values:
            text = project_files.read_file(self.git, file, self.commit)
            if text is None:
                text = self._pulled(file)
            self._values[file] = metrics.load(text, source=file) if text is not None else {}
        return self._values[file]

    def writer(self, file: str) -> pipeline.Writer | None:
        """Return the stage of dvc.yaml that wrote the file, checked; None where none did."""
        if file not in self._writers:
            files = project_files.at(self.git, self.commit)
            try:
                model = artifacts.find(self.model, files)
            except InputError:
                model = None
            tree = git_tree.Tree(self.git, self.commit)
            self._writers[file] = pipeline.writer(file, model, files, tree.content, tree.attributes)
        return self._writers[file]

    def _pulled(self, file: str) -> str | None:
        """Pull a file that DVC keeps, by its hash. None where no stage of the commit wrote it."""
        writer = self.writer(file)
        if writer is None or not writer.file.md5:
            return None
        kept = writer.file
        # Of a folder only this file is pulled.
        part = file.removeprefix(f"{kept.path}/") if kept.path != file else ""
        if (part != "") != kept.hash.endswith(".dir"):
            return None
        # A step of which Git has all metrics need not load it.
        from model_gitops.adapters import dvc

        top = self.git.directory
        with (
            runner.group(f"Pulling {file} of {self.commit[:12]}"),
            scratch.folder("model-gitops-metrics-", runner.temporary_folder()) as made,
        ):
            place = made / Path(file).name
            dvc.pull(
                artifacts.Artifact.of(kept),
                place,
                root=dvc.project_root((top / file).parent, top),
                remote=self.remote,
                settings=self.settings,
                part=part,
            )
            if not paths.is_file(place):  # the folder has no such file
                return None
            return place.read_text(encoding="utf-8", errors="replace")
