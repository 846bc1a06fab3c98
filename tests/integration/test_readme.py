"""What the READMEs show is what works."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from model_gitops.adapters.promotion_file import promotion_schema
from model_gitops.core import document
from model_gitops_local import toolchain

ROOT = Path(__file__).parents[2]
READMES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("actions/*/README.md")),
    *(page for page in sorted(ROOT.glob("docs/**/*.md")) if "\njobs:" in page.read_text("utf-8")),
]
README_NAMES = [str(path.relative_to(ROOT)) for path in READMES]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", path.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.parametrize("readme", READMES, ids=README_NAMES)
def test_workflow_examples_are_workflows(readme: Path, tmp_path: Path) -> None:
    actionlint = toolchain.ensure("actionlint")
    examples = [text for text in blocks(readme, "yaml") if "\njobs:" in f"\n{text}"]
    assert examples
    for number, text in enumerate(examples):
        # An example leaves `on:` out where it does not matter.
        whole = text if re.search(r"^on:", text, re.MULTILINE) else f"on: pull_request\n{text}"
        file = tmp_path / f"{number}.yml"
        file.write_text(whole, "utf-8")
        done = subprocess.run([actionlint, file], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("readme", READMES, ids=README_NAMES)
def test_examples_give_inputs_that_exist(readme: Path) -> None:
    for text in blocks(readme, "yaml"):
        data = yaml.safe_load(text)
        if not isinstance(data, dict) or "jobs" not in data:
            continue
        for job in data["jobs"].values():
            for step in job["steps"]:
                name = re.fullmatch(
                    r"model-gitops/model-gitops/actions/(.+)@v0", step.get("uses", "")
                )
                if name is None:
                    continue
                action = yaml.safe_load(
                    (ROOT / "actions" / name[1] / "action.yml").read_text("utf-8")
                )
                assert set(step.get("with", {})) <= set(action["inputs"])
                required = {key for key, one in action["inputs"].items() if one.get("required")}
                assert required <= set(step.get("with", {}))


def test_the_readmes_promotion_yaml_is_the_templates() -> None:
    (text,) = [text for text in blocks(ROOT / "README.md", "yaml") if text.startswith("model:")]
    shown = document.load_yaml(text, source="README.md")
    document.validate(shown, promotion_schema(), source="README.md")
    template = (ROOT / "templates" / "model" / "promotion.yaml").read_text("utf-8")
    assert document.load_yaml(template, source="promotion.yaml") == shown


def test_the_template_names_the_schema_where_it_is() -> None:
    template = (ROOT / "templates" / "model" / "promotion.yaml").read_text("utf-8")
    named = re.search(r"\$schema=https://\S+/v0/(\S+)", template)
    assert named is not None
    assert json.loads((ROOT / named[1]).read_text("utf-8")) == promotion_schema()
    assert promotion_schema()["$id"].endswith(f"/v0/{named[1]}")


def test_the_readmes_commands_are_targets_and_actions(tmp_path: Path) -> None:
    """`make demo` and `make test` are run by other tests; here: each command exists."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    lines = [line for text in blocks(ROOT / "README.md", "console") for line in text.splitlines()]
    for line in (line for line in lines if line.startswith("$ ")):
        words = shlex.split(line.removeprefix("$ "))
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), line
            continue
        if words[1] == "init":
            words = [word.replace("../", f"{tmp_path}/") for word in words]
            done = subprocess.run(
                [ROOT / words[0], *words[1:]], check=False, stdin=subprocess.DEVNULL
            )
            assert done.returncode == 0
            assert (tmp_path / "churn/src/churn/train.py").is_file()
            assert (tmp_path / "churn-deploy/argocd/dev.yaml").is_file()
            continue
        config = ["--config", str(ROOT / "templates" / "model" / "promotion.yaml")]
        # What is live is asked of a whole world: here the command only has to exist.
        asks = words[1] in ("status", "trace-model")
        done = subprocess.run(
            [ROOT / words[0], *words[1:], *(["--help"] if asks else config)],
            check=False, capture_output=True, text=True, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert asks or "environment=staging" in done.stdout
