"""Report metrics, params and plots as one comment."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from model_gitops import runner
from model_gitops.adapters import baseline as baselines
from model_gitops.adapters import (
    body_images,
    cml,
    compared_project,
    event_checkout,
    git,
    paths,
    promotion_file,
    report_branch,
)
from model_gitops.adapters.compared_project import Compared
from model_gitops.adapters.publisher import NotAllowed, Publisher
from model_gitops.adapters.vega import Vega
from model_gitops.core.report import comment
from model_gitops.core.report import page as reports
from model_gitops.core.report.comparison import Comparison
from model_gitops.core.report.page import Facts
from model_gitops.core.report.pictures import Picture
from model_gitops.core.report.promotion import Opening
from model_gitops.errors import ExternalError, InputError, RaceError
from model_gitops.events import Checkout
from model_gitops.options import Config, flag, lines, option, secret

OUTPUTS = ("operation", "url", "report")

CONFIG = "promotion.yaml"
LARGEST_BODY = 4 * 1024 * 1024


def command(
    config: Config = CONFIG,
    base: Annotated[
        str,
        option(
            "base",
            "What to compare with: a branch, version or Git revision. Default: the target branch.",
        ),
    ] = "",
    body: Annotated[str, option("body", "Markdown file to include, before the tables.")] = "",
    environment: Annotated[
        str,
        option(
            "environment",
            "Environment that the change promotes to: the report then opens with how its promotion went.",
        ),
    ] = "",
    rules: Annotated[
        str,
        option(
            "rules",
            "What the change does to promotion.yaml, as check-promotion puts it out.",
        ),
    ] = "",
    tests: Annotated[
        str,
        option(
            "tests",
            "Result of the project's own tests: success, failure, skipped or cancelled.",
        ),
    ] = "",
    model_pull: Annotated[
        str,
        option(
            "model-pull",
            "Outcome of the step that pulled the model.",
        ),
    ] = "",
    model_training: Annotated[
        str,
        option(
            "model-training",
            "Outcome of the step that trained the model where it could not be pulled.",
        ),
    ] = "",
    gate: Annotated[
        str,
        option(
            "gate",
            "Outcome of the gate's step.",
        ),
    ] = "",
    gate_table: Annotated[
        str,
        option(
            "gate-table",
            "The gate's verdicts, as gate-metrics puts them out.",
        ),
    ] = "",
    status: Annotated[
        str,
        option(
            "status",
            "Outcome of the step that asked what the environment runs.",
        ),
    ] = "",
    comparison: Annotated[
        str,
        option(
            "comparison",
            "What runs beside the candidate, as status puts it out.",
        ),
    ] = "",
    build: Annotated[
        str,
        option(
            "build",
            "Outcome of the image's step, or `elsewhere` where others build it.",
        ),
    ] = "",
    image: Annotated[
        str,
        option(
            "image",
            "The candidate's image, as build-push-image puts it out.",
        ),
    ] = "",
    promote_image: Annotated[
        str,
        option(
            "promote-image",
            "The image that is taken over from the environment before, as check-promotion puts it out.",
        ),
    ] = "",
    metrics: Annotated[
        str, option("metrics", "Metrics files, one a line. Default: all that DVC knows.")
    ] = "",
    params: Annotated[
        str, option("params", "Params files, one a line. Default: all that DVC knows.")
    ] = "",
    plots: Annotated[bool, flag("plots", "Whether to draw DVC's plots.")] = True,
    target: Annotated[
        str,
        option(
            "target",
            "Where to comment: auto (the pull request, else the commit), pr, pr/NUMBER, commit, "
            "commit/HASH or issue/NUMBER.",
        ),
    ] = "auto",
    title: Annotated[
        str,
        option(
            "title",
            "The report's heading. Same title, same comment; the folder of `config` is put to it."
            " Default: Model report.",
        ),
    ] = "",
    publisher: Annotated[
        str, option("publisher", "Who writes the comment: native, or cml where the runner has CML.")
    ] = "native",
    token: Annotated[
        str, secret("token", "Token that may comment, and keep pictures in the repository.")
    ] = "",
) -> None:
    """Compare the checkout with base and incumbent; say so, and how a promotion went, in one comment."""
    runner.mask(token)
    context = runner.context()
    wanted = comment.parse_target(target)
    if publisher not in ("native", "cml"):
        raise InputError.of(
            "publisher", publisher, "it is neither native nor cml", fix="publisher: native"
        )
    if publisher == "cml":
        cml.require()
    opening = Opening(
        environment=environment,
        rules=rules,
        tests=tests,
        model_pull=model_pull,
        model_training=model_training,
        gate=gate,
        gate_table=gate_table,
        status=status,
        comparison=comparison,
        build=build,
        image=image,
        promote_image=promote_image,
    ).checked()
    repository = git.open_repository(Path.cwd())
    place = _config(config, repository.directory)
    text, text_folder = _read_body(body)
    title = _titled(" ".join(title.split()) or reports.DEFAULT_TITLE, place, repository.directory)
    file = _report_file(title)
    assets = file.with_suffix(".assets")
    writer = Publisher(context, repository, token, wanted)
    with Vega() as vega:
        if plots:
            compared_project.foresee_plots(place.parent, vega)
        # A wrong target ends here; other refusals and faults count once the report is written.
        with contextlib.suppress(NotAllowed, ExternalError):
            writer.look()
        context = writer.told()

        given = bool(base or metrics or params) or config not in ("", CONFIG)
        alone = bool(body) and not given and _is_alone(context, repository)
        if not (alone or base or wanted.id):
            event_checkout.require_its_own(context, repository)
        with runner.group("Compare the model"):
            baseline = (
                baselines.Baseline() if alone else baselines.find(repository, context, base, place)
            )
            asked = (lines(metrics), lines(params), assets if plots else None, vega)
            found = (
                _nothing_found()
                if alone
                else compared_project.read(repository, place.parent, baseline, *asked)
            )
    shown = body_images.collect(text, text_folder, assets)
    pictures = [*found.pictures, *shown.pictures]
    link, unseen = _publish_pictures(context, token, assets, pictures)
    table = opening.table(found.metrics, baseline.reference)
    report = reports.Report(
        facts=_facts(
            *(title, repository, context, baseline),
            replace(found, problems=[*found.problems, *shown.problems]),
            opening,
        ),
        metrics=replace(found.metrics, table="") if table.metrics else found.metrics,
        params=found.params,
        pictures=found.pictures,
        opening=opening.text(table),
        body=shown.body,
        closing=comment.mark(title) if publisher == "native" else "",
    )
    markdown, dropped = report.write(link, notice=unseen)
    if dropped:
        runner.notice(f"the comment would be too long; left out: {', '.join(dropped)[:1000]}")
    # Where pictures have no place on the server, they can still be seen next to the report's file.
    beside = markdown if link or publisher == "cml" else report.write(_beside(assets))[0]
    paths.write_whole(file, beside)
    runner.say(f"report: {file}")
    if pictures:
        runner.say(f"pictures: {assets}")

    def summarise(refused: str) -> None:
        notice = " ".join(part for part in (refused, unseen) if part)
        summary, _ = report.write(link, limit=reports.SUMMARY_LIMIT, unit="bytes", notice=notice)
        runner.write_summary(summary)

    with_cml = publisher == "cml"
    operation, url = _post(writer, title, file, "" if with_cml else markdown, summarise)
    runner.write_outputs({"operation": operation, "url": url, "report": str(file)})


def _post(
    writer: Publisher, title: str, file: Path, markdown: str, summarise: Callable[[str], None]
) -> tuple[str, str]:
    """Write the comment, by CML from `file` where there is no `markdown`, and the summary in any case.

    Returns the operation and the comment's address.
    """
    operation, url, refused = "none", "", ""
    try:
        with runner.group("Publish the report"):
            operation, url = (
                writer.publish(title, markdown)
                if markdown
                else writer.publish_with_cml(title, file)
            )
    except NotAllowed as error:
        refused = f"No comment was written: {error}."
        runner.notice(f"{refused} The report is {runner.summary_place()}.")
    finally:
        summarise(refused)
    return operation, url


def _is_alone(context: runner.Context, repository: git.Git) -> bool:
    """Whether no model of the event's is here: a job that posts what another one wrote.

    It has the default branch's files, or none.
    """
    return not _has_project(repository.directory) or event_checkout.is_elsewhere(
        context, repository
    )


def _nothing_found() -> Compared:
    runner.say("there is no DVC project here: the report is the body alone")
    return Compared(Comparison(), Comparison(), (), (), compared=False)


def _config(config: str, top: Path) -> Path:
    """Return where promotion.yaml is: the project is its folder. Raises InputError."""
    place = promotion_file.place(config)
    if not paths.is_inside(place, top):
        raise InputError.of(
            "config", config, "it is outside of the repository", fix="config: proj/promotion.yaml"
        )
    if config not in ("", CONFIG) and not paths.is_file(place):
        fix = promotion_file.meant(place) or "config: proj/promotion.yaml"
        raise InputError.of("config", config, "no such file", fix=fix)
    return place


def _titled(title: str, place: Path, top: Path) -> str:
    """Return the title, with the folder of a model that is not at the top: one comment a title."""
    folder = Path(os.path.relpath(place.parent.resolve(), top.resolve())).as_posix()
    said = re.search(rf"(?<![\w/.-]){re.escape(folder)}(?![\w/.-])", title)
    if folder == "." or said or not paths.is_file(place):
        return title[:120]
    return f"{title[:120]}: {folder}"


def _read_body(body: str) -> tuple[str, Path]:
    if not body:
        return "", Path.cwd()
    path = Path(body)
    try:
        content = paths.read_bounded(path, LARGEST_BODY)
    except OSError as error:
        problem = f"the file can't be read: {error.strerror}"
        fix = "write the Markdown file in a step before this one, or leave `body` out"
        raise InputError.of("body", body, problem, fix=fix) from error
    if len(content) > LARGEST_BODY:
        raise InputError.of("body", body, f"the file has more than {LARGEST_BODY} bytes")
    return content.decode("utf-8", errors="replace"), path.resolve().parent


def _report_file(title: str) -> Path:
    """Return the report's file, the same for the same title, in an emptied place of its own."""
    folder = runner.temporary_folder()
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="model-gitops-"))
    folder = folder / "model-gitops-reports"
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60]
    if slug.replace("-", " ") != title.lower():
        slug = f"{slug}-{hashlib.sha256(title.encode()).hexdigest()[:8]}".strip("-")
    file = folder / f"{slug}.md"
    assets = file.with_suffix(".assets")
    assets.mkdir(parents=True, exist_ok=True)
    for old in assets.iterdir():
        old.unlink()
    return file


def _has_project(top: Path) -> bool:
    """Whether DVC or promotion.yaml is in the working directory, or above it in the checkout."""
    here, top = Path.cwd().resolve(), top.resolve()
    folders = [folder for folder in (here, *here.parents) if folder.is_relative_to(top)]
    names = (".dvc", "dvc.yaml", "dvc.lock", CONFIG)
    return any((folder / name).exists() for folder in folders for name in names)


def _publish_pictures(
    context: runner.Context, token: str, assets: Path, pictures: Sequence[Picture]
) -> tuple[Callable[[Picture], str] | None, str]:
    """Put the pictures where readers of the comment see them; return their link, or why not."""
    if not pictures:
        return None, ""
    files = [assets / name for name in dict.fromkeys(one.file for one in pictures)]
    told = f"{len(files)} plot{'s' if len(files) != 1 else ''} can't be shown here"
    if not context.repository or not token:
        missing = "a token" if context.repository else "a repository on a server"
        return None, f"{told}: without {missing} there is no place for pictures."
    home = f"{context.server_url}/{context.repository}"
    try:
        with runner.group(f"Keep {len(files)} pictures in {report_branch.BRANCH}"):
            commit = report_branch.publish(f"{home}.git", token, files)
    except (ExternalError, RaceError) as error:
        needed = f"the token can't write the branch {report_branch.BRANCH} (contents: write)"
        runner.notice(f"{told}: {needed}. {error.message}")
        return None, f"{told}: {needed}."
    # The form of the link that people who may read a private repository can load.
    raw = f"{home}/raw/commit/{commit}" if runner.on_gitea() else f"{home}/raw/{commit}"
    return (lambda one: f"{raw}/{one.file}"), ""


def _beside(assets: Path) -> Callable[[Picture], str]:
    return lambda one: f"{quote(assets.name)}/{one.file}"


def _facts(
    title: str,
    repository: git.Git,
    context: runner.Context,
    baseline: baselines.Baseline,
    found: Compared,
    opening: Opening,
) -> Facts:
    if not found.compared and context.subject.source.checkout is Checkout.ANOTHER:
        # The checkout is the default branch's: not what the body is about, and nor is this run.
        return Facts(
            title, environment=opening.environment, compared=False, verdict=opening.verdict
        )
    commit = event_checkout.of_files(context, repository)
    home = f"{context.server_url}/{context.repository}" if context.repository else ""
    has_run = home and re.search(r"/runs/\d+$", context.run_url)
    return Facts(
        title=title,
        model=baseline.promotion.model if baseline.promotion else "",
        environment=opening.environment or baseline.environment,
        reference=baseline.reference,
        head=context.head_ref or context.base_ref,
        base=context.base_ref if context.subject.is_change else "",
        commit=commit,
        commit_url=f"{home}/commit/{commit}" if home else "",
        run_url=context.run_url if has_run else "",
        notes=found.problems,
        compared=found.compared,
        verdict=opening.verdict,
    )
