"""Which version comes back, and how the commit of a rollback says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_gitops.core.deploy import rollback
from model_gitops.core.deploy.deployment import commit_message
from model_gitops.core.deploy.history import Change, standing
from model_gitops.core.deploy.kustomization import Image
from model_gitops.core.deploy.rollback import Asked, Target
from model_gitops.core.deploy.trailers import read_trailers
from model_gitops.core.lineage.facts import WentBack
from model_gitops.errors import InputError

ASKED = Asked("production", "m", reason="p95 too high", by="ada", run="https://x/actions/runs/1")


def image(number: int) -> Image:
    return Image("m", "ghcr.io/acme/m", f"v{number}", f"sha256:{number:064x}")


def deployed(number: int, *, back: bool = False, model: str = "m") -> Change:
    lines = [
        f"Deploy {model}",
        "",
        f"Model: {model}@v0.0.{number}",
        f"Image-Digest: {image(number).digest}",
        "Source-Repository: acme/m",
        f"Source-Commit: {number:040x}",
        *(["Rollback: true", f"Rollback-From: {9:040x}"] if back else []),
    ]
    return Change.of(f"{number:08x}", image(number), "\n".join(lines), "bot")


def plain(number: int, message: str = "Revert it") -> Change:
    return Change.of("e" * 40, image(number), message, "Ada")


def targets(*newest_first: Change) -> list[str]:
    return [one.version for one in rollback.earlier(newest_first, "m")]


def test_the_ones_before_are_offered_the_newest_first() -> None:
    assert targets(deployed(3), deployed(2), deployed(1)) == ["v0.0.2", "v0.0.1"]
    assert targets(deployed(1)) == []
    assert targets() == []


def test_what_was_taken_back_is_not_offered() -> None:
    back = deployed(1, back=True)
    assert targets(deployed(3), back, deployed(2), deployed(1)) == ["v0.0.1"]
    assert targets(deployed(3), plain(1), deployed(2), deployed(1)) == ["v0.0.1"]
    # A revert of the revert: the second version is a good one again.
    again = (plain(2), plain(1), deployed(2), deployed(1))
    assert targets(deployed(3), *again) == ["v0.0.2", "v0.0.1"]
    # Two rollbacks, one after the other, and what came between.
    chain = (deployed(4), deployed(2, back=True), deployed(3), deployed(2), deployed(1))
    assert targets(deployed(5), *chain) == ["v0.0.4", "v0.0.2", "v0.0.1"]
    # What a rollback went back to was cut off: its own trailers say it.
    assert targets(deployed(3), back, deployed(2)) == ["v0.0.1", "v0.0.2"]


def test_the_same_image_and_what_nobody_deployed_are_not_offered() -> None:
    same = Change.of("a" * 40, image(3), deployed(3).message, "bot")
    empty = Change.of("b" * 40, Image("m", "ghcr.io/acme/m", "none"), "Start", "Ada")
    by_hand = plain(7, "try this")
    assert targets(deployed(3), same, by_hand, deployed(2), empty) == ["v0.0.2"]


def test_no_more_is_read_than_is_needed() -> None:
    read = []

    def changes() -> Iterator[Change]:
        for number in range(9, 0, -1):
            read.append(number)
            yield deployed(number)

    assert next(rollback.earlier(changes(), "m")).version == "v0.0.8"
    assert read == [9, 8]


def test_the_commit_says_all_of_it_and_status_reads_it_there() -> None:
    target = Target(image(1), deployed(1), "v0.0.1")
    said = rollback.trailers(ASKED, target, "v0.0.2", f"{2:040x}")
    text = commit_message(rollback.subject(ASKED, target), "", said)
    assert text.splitlines()[0] == "Roll back m to v0.0.1 in production"
    assert read_trailers(text) == {
        "model": ["m@v0.0.1"],
        "image-digest": [image(1).digest],
        "source-repository": ["acme/m"],
        "source-commit": [f"{1:040x}"],
        "rollback": ["true"],
        "rollback-from": [f"{2:040x}"],
        "rollback-version": ["v0.0.2"],
        "rollback-by": ["ada"],
        "rollback-reason": ["p95 too high"],
        "rollback-run": ["https://x/actions/runs/1"],
    }
    made = Change.of("f" * 40, image(1), text, "model-gitops[bot]")
    back = WentBack.of(standing([made, deployed(2), deployed(1)], "m"), "m")
    assert back is not None
    assert back.sentence == "rolled back from v0.0.2 by ada: p95 too high"
    assert rollback.sentence(ASKED, target, "v0.0.2") == f"v0.0.1, {back.sentence}"


def test_of_several_models_and_images_each_value_is_its_own() -> None:
    text = "\n".join(
        [
            "Model: other@v9.0.0",
            "Model: m@v0.0.1",
            "Model-Hash: oooo",
            "Model-Hash: mmmm",
            f"Image-Digest: {image(8).digest}",
            f"Image-Digest: {image(1).digest}",
            "Source-Repository: acme/m",
            f"Source-Commit: {1:040x}",
        ]
    )
    target = Target(image(1), Change.of("a" * 40, image(1), text, "bot"), "v0.0.1")
    said = dict(rollback.trailers(ASKED, target, "", ""))
    assert (said["Model"], said["Model-Hash"]) == ("m@v0.0.1", "mmmm")
    assert said["Image-Digest"] == image(1).digest
    assert "Rollback-From" not in said


def test_what_was_reached_is_not_lost_by_a_second_rollback() -> None:
    assert rollback.reached([deployed(1, back=True), deployed(2)], "m") == f"{9:040x}"
    assert rollback.reached([plain(1), deployed(2), deployed(1)], "m") == f"{2:040x}"
    assert rollback.reached([plain(1)], "m") == ""


@pytest.mark.parametrize("text", ["v1.2.3", "1.2.3", "m@v1.2.3", "m@1.2.3", " v1.2.3 "])
def test_a_version_as_people_write_it(text: str) -> None:
    assert rollback.parse_version(text, "m") == "v1.2.3"


@pytest.mark.parametrize("text", ["latest", "other@v1.2.3", "v1", "v1.2.3\nv1.2.4", "-v1.2.3"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="it is no version as GTO writes it"):
        rollback.parse_version(text, "m")


def test_no_version_is_the_last_good_one() -> None:
    assert rollback.parse_version("", "m") == ""


def test_a_reason_is_one_line_of_a_sane_length() -> None:
    assert rollback.one_line("p95\n\ttoo \x1b[31mhigh") == "p95 too [31mhigh"
    assert rollback.one_line("x" * 501) == "x" * 499 + "…"


def test_the_refusal_names_the_versions_that_were_deployed() -> None:
    known = [deployed(3), plain(7), deployed(2, model="other"), deployed(1)]
    versions = rollback.versions(known, "m")
    assert versions == ["v0.0.3", "v0.0.1"]
    asked = Asked("dev", "m", "v0.0.9")
    error = rollback.refuse_version(asked, versions)
    assert error.message == "m v0.0.9 was never deployed to dev; these were: v0.0.3, v0.0.1"
    many = rollback.refuse_version(asked, [f"v0.0.{one}" for one in range(30)])
    assert "and 10 more" in many.message
    assert "none that a deploy commit names" in rollback.refuse_version(asked, []).message


def test_the_pull_request_says_it_without_a_strangers_markup() -> None:
    text = rollback.merge_text(ASKED, "v0.0.1, rolled back by @octocat: <img src=x>")
    assert "@octocat" not in text
    assert "<img" not in text


def test_a_program_that_decided_it_is_said_with_who_started_its_run() -> None:
    assert rollback.decided("", "ada") == "ada"
    assert rollback.decided("verify.yml", "ada") == "verify.yml, run by ada"
    assert rollback.decided(" a\nRollback-By: eve", "ada") == "a Rollback-By: eve, run by ada"
    assert len(rollback.decided("x" * 900, "ada")) < 120
