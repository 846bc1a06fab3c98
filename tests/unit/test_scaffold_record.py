"""`.model-gitops.yaml`: written, read again, and refused where somebody broke it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model_gitops.core.scaffold import answers, record
from model_gitops.core.scaffold.render import File
from model_gitops.errors import InputError

FOUND = answers.new(name="my-model", owner="NewCo", branches=["main", "env/live"])
MADE = record.Record("model", "v0.1.0", FOUND)


@pytest.mark.parametrize(
    "made",
    [
        MADE,
        replace(MADE, template="deploy", version="0123456789" * 4),
        replace(MADE, only=(".github/workflows/deploy.yml", "promotion.yaml")),
        # As `adopt` may find it.
        replace(MADE, answers=replace(FOUND, name="sub:clf", package="on", image="1.0", branches=("é", "null"))),
    ],
)  # fmt: skip
def test_what_is_kept_is_read_again(made: record.Record) -> None:
    assert record.parse(made.text()) == made


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("template: model", "template: other", "`template` is 'other'"),
        ("version: v0.1.0", "version: 1", "`version` is 1"),
        ("version: v0.1.0", "version: --upload-pack=x", "`version` is"),
        ("version: v0.1.0", "version: a..b", "`version` is"),
        ("answers:", "answer:", "no list of answers"),
        ("package: my_model", "package: ../../etc", "`answers: package` is"),
        ("package: my_model", "package: /etc", "`answers: package` is"),
        ("name: my-model", 'name: "a\\nb"', "`answers: name` is"),
        ("name: my-model", "name: [a]", "`answers: name` is"),
        (
            "environments: [dev, production]",
            "environments: [../x, production]",
            "`answers: environments`",
        ),
        ("environments: [dev, production]", "environments: [dev]", "2 branches and 1 environments"),
    ],
)
def test_what_somebody_broke_is_named_with_its_file(old: str, new: str, said: str) -> None:
    text = MADE.text()
    assert old in text
    with pytest.raises(InputError) as error:
        record.parse(text.replace(old, new))
    assert record.FILE in error.value.message
    assert said in error.value.message
    assert error.value.fix


def test_of_a_part_of_a_template_only_that_part_is_rendered() -> None:
    files = {"promotion.yaml": File(b"model: diabetes\n"), "Makefile": File(b"all:\n")}
    made = replace(MADE, only=("promotion.yaml",)).rendered(files)
    assert sorted(made) == [record.FILE, "promotion.yaml"]
    assert made["promotion.yaml"].content == b"model: my-model\n"
    assert sorted(MADE.rendered(files)) == [record.FILE, "Makefile", "promotion.yaml"]
