"""Say which data, code and approvals made what is live, and verify every link."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import git, promotion_file
from model_gitops.adapters.tracing import places
from model_gitops.adapters.tracing.gatherer import Gatherer
from model_gitops.core.gto import revision
from model_gitops.core.image.names import is_reference_of_image, split_reference
from model_gitops.core.lineage import report as lineage_report
from model_gitops.core.lineage.facts import Trace
from model_gitops.core.lineage.link import broken
from model_gitops.core.lineage.links import check
from model_gitops.errors import InputError, RefusedError
from model_gitops.options import (
    Config,
    DeployBranch,
    DeployKey,
    DeployToken,
    KnownHosts,
    RegistryPassword,
    RegistryUser,
    flag,
    option,
    secret,
)

OUTPUTS = (
    "verified",
    "version",
    "image",
    "digest",
    "model-hash",
    "source-commit",
    "deploy-commit",
    "table",
    "json",
)


def command(
    subject: Annotated[
        str,
        option(
            "subject",
            "What to trace: an environment (production), an image (name:tag@digest) or a version "
            "(v1.2.3, name@v1.2.3, name#stage).",
        ),
    ] = "",
    config: Config = "promotion.yaml",
    deploy_branch: DeployBranch = "",
    token: DeployToken = "",
    ssh_key: DeployKey = "",
    known_hosts: KnownHosts = "",
    source_token: Annotated[
        str,
        secret(
            "source-token",
            "Token that may read this repository's pull requests: who approved. Without one that is"
            " left out.",
        ),
    ] = "",
    username: RegistryUser = "",
    password: RegistryPassword = "",
    as_json: Annotated[
        bool, flag("json", "Print JSON instead of text (its schema: trace.schema.json).")
    ] = False,
) -> None:
    """Walk the chain from the subject to the data, and end with exit code 3 where a link is broken."""
    promotion = promotion_file.read_promotion(
        promotion_file.place(config), git.open_repository(Path.cwd())
    )
    if not subject:
        names = ", ".join(one.name for one in promotion.environments)
        raise InputError.of(
            "subject", subject, "it is empty",
            fix=f"subject: one of {names}, an image (name:tag@digest) or a version (v1.2.3)",
        )  # fmt: skip
    credentials = places.Credentials(token, ssh_key, source_token, username, password, known_hosts)
    with (
        runner.group(f"Tracing {subject}"),
        places.opened(promotion, credentials, deploy_branch=deploy_branch) as gatherer,
    ):
        trace = _trace(gatherer, subject)
    links = check(trace)
    wrong = broken(links)
    document = json.dumps(lineage_report.document(trace, links), indent=2)
    table = lineage_report.markdown(trace, links)
    runner.answer(
        {
            "verified": "false" if wrong else "true",
            "version": trace.version.version if trace.version else "",
            "image": (trace.deployed.image.reference if trace.deployed else "")
            or (trace.stored.reference if trace.stored else ""),
            "digest": (trace.deployed.image.digest if trace.deployed else "")
            or (trace.stored.digest if trace.stored else ""),
            "model-hash": trace.source.model_hash if trace.source else "",
            "source-commit": trace.source.commit if trace.source else "",
            "deploy-commit": trace.deployed.commit if trace.deployed else "",
            "table": table,
            "json": document,
        },
        document if as_json else lineage_report.text(trace, links),
    )
    runner.write_summary(table)
    if wrong:
        first = next((link.fix for link in wrong if link.fix), "")
        raise RefusedError(
            f"the lineage of {subject} has {len(wrong)} broken link{'s' if len(wrong) > 1 else ''}: "
            + "; ".join(link.sentence for link in wrong),
            fix=first,
        )


def _trace(gatherer: Gatherer, subject: str) -> Trace:
    """Find out what `subject` names, and gather its lineage."""
    promotion = gatherer.promotion
    for environment in promotion.environments:
        # A stage is what the tags say of an environment: the overlay is asked whether it agrees.
        stages = [f"{name}#{environment.stage}" for name in (promotion.model, promotion.name)]
        if subject in (environment.name, *stages):
            return gatherer.environment(environment)
    found = revision.find(gatherer.repository.registry, promotion.model, subject)
    if found and found.model == promotion.model:
        return gatherer.version(found)
    name, tag, digest = split_reference(subject)
    if (tag or digest) and is_reference_of_image(subject):
        return gatherer.image(name, tag, digest)
    environments = ", ".join(one.name for one in promotion.environments)
    versions = ", ".join(
        one.version for one in gatherer.repository.registry.versions(promotion.model)[-10:]
    )
    raise InputError.of(
        "subject",
        subject,
        f"it is no environment ({environments}), no version of {promotion.model}"
        f" ({versions or 'none yet'}), and no image with a tag or digest",
        fix=f"subject: {promotion.environments[-1].name}",
    )
