"""How the change's image is built, tested, or which one it is: what the workflows are told of it."""

from __future__ import annotations

import posixpath

from model_gitops import runner
from model_gitops.adapters.git import Git
from model_gitops.adapters.promotion_file import Rules
from model_gitops.core.flow.building import SMOKE_TEST, Build

# Without a value where an image is built elsewhere, or is taken over.
NAMES = ("dockerfile", "context", "target", "smoke-test", "build-contexts")


def outputs(
    repository: Git, rules: Rules, commit: str | None, model_path: str, *, is_first: bool
) -> dict[str, str]:
    """Return the outputs for building the image, and `promote-image` where it is built elsewhere.

    How an image is built, or which one it is, is content of the change, as its Dockerfile is. That it
    is tested is a rule: a change can't drop the test that its base has.
    """
    own = rules.own or rules.promotion
    build = own.build
    if not is_first:
        return {**dict.fromkeys(NAMES, ""), "built-elsewhere": "false"}
    if build.elsewhere:
        return {
            **dict.fromkeys(NAMES, ""),
            "promote-image": build.elsewhere,
            "built-elsewhere": "true",
        }
    return {
        "dockerfile": build.dockerfile,
        "context": build.context,
        "target": build.target,
        "smoke-test": _smoke_test(repository, rules, commit),
        "build-contexts": "\n".join(
            f"{name}={place}" for name, place in _contexts(build, model_path)
        ),
        "built-elsewhere": "false",
    }


def _contexts(build: Build, model_path: str) -> list[tuple[str, str]]:
    """Return the named contexts; without a word of them the folder of the model's file.

    A model that lies beside the Dockerfile is in the build's own context.
    """
    if build.contexts is not None:
        return list(build.contexts.items())
    folder = posixpath.dirname(model_path)
    return [("model", folder)] if folder not in ("", build.context) else []


def _smoke_test(repository: Git, rules: Rules, commit: str | None) -> str:
    """Return the file of the smoke test; empty where neither the change nor its base has one."""
    own = rules.own or rules.promotion
    if own.build.smoke_test:
        return own.build.smoke_test
    if rules.promotion.build.smoke_test is not None:
        if not rules.promotion.build.smoke_test:
            runner.notice("promotion.yaml says `smoke-test: false`: the image is not tested")
        return rules.promotion.build.smoke_test
    default = posixpath.join(own.folder, SMOKE_TEST)
    # What the base has can't be dropped by the change that it would test.
    if any(one and repository.file_at(one, default) is not None for one in (rules.commit, commit)):
        return default
    runner.notice(
        f"the image is not tested: there is no {default}, and promotion.yaml names no `smoke-test`"
    )
    return ""
