"""Workflows that are there already: what of ours each of them does another way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from model_gitops.core import workflow

Read = Callable[[str], str | None]

# What a workflow says → which of our workflows or actions does it instead.
_KNOWN = (
    (re.compile(r"uses:\s*iterative/setup-cml|\bcml[ -](?:comment|send-comment|publish|pr|runner)\b"),
     "reports by CML: promote.yml and experiment.yml report by cml-report"),
    (re.compile(r"uses:\s*iterative/setup-dvc"), "installs DVC: `commands.env` does"),
    (re.compile(r"uses:\s*iterative/gto-action"), "reads GTO's tags: deploy.yml assigns stages itself"),
    (re.compile(r"\bdvc\s+(?:exp\s+run|repro)\b"), "reproduces the pipeline: experiment.yml does"),
    (re.compile(r"\bdvc\s+pull\b"), "pulls by `dvc pull`: dvc-pull-model pulls the model alone, verified"),
    (re.compile(r"uses:\s*docker/build-push-action|\bdocker\s+(?:buildx\s+)?build\b"),
     "builds an image: promote.yml and deploy.yml do, by build-push-image"),
    (re.compile(r"\bkustomize\s+edit\s+set\s+image\b"), "sets an image: deploy.yml does, by bump-kustomize-tag"),
    (re.compile(r"\bkubectl\s+(?:apply|set\s+image)\b|\bhelm\s+upgrade\b"),
     "deploys by itself: Argo CD or Flux does, from the deploy repository"),
    (re.compile(r"\bgto\s+(?:register|assign)\b"), "registers by GTO: gto-register-stage does"),
)  # fmt: skip


def told(in_git: Iterable[str], read: Read, ours: Iterable[str]) -> list[str]:
    """Say which workflows overlap with ours (paths of `ours` are left out), one line each."""
    own = frozenset(ours)
    lines = []
    for path in sorted(in_git):
        if path in own or not workflow.is_workflow(path):
            continue
        text = read(path) or ""
        if "model-gitops/" in text:
            continue
        found = [what for pattern, what in _KNOWN if pattern.search(text)]
        if found:
            lines.append(f"{path} stays as it is; it {'; it '.join(found)}")
    return lines
