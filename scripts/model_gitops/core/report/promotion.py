"""How the report of a promotion opens: its rules, the gate's verdict, what runs, the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from model_gitops.core.flow import gate as gates
from model_gitops.core.markdown import code, escape
from model_gitops.core.report.comparison import Comparison
from model_gitops.core.report.one_table import Joined, join
from model_gitops.errors import InputError

# A step's outcome or a job's result, as the workflow tells it; empty: nobody asked for it.
OUTCOMES = ("", "success", "failure", "skipped", "cancelled")
# In place of the build's outcome, where promotion.yaml names an image that others build.
ELSEWHERE = "elsewhere"
_LONGEST = 300
_MOST_REASONS = 3


@dataclass(frozen=True)
class Opening:
    """What the jobs of a promotion found, each empty where a job has nothing to say.

    `rules`, `gate_table` and `comparison` are Markdown tables. `tests`, `model_pull`,
    `model_training`, `gate`, `status` and `build` are outcomes. `image` is the candidate's, of which
    only a pushed one has a digest; `promote_image` is the one that the environment before runs, or where
    `build` is `elsewhere` the one that promotion.yaml names.
    """

    environment: str = ""
    rules: str = ""
    tests: str = ""
    model_pull: str = ""
    model_training: str = ""
    gate: str = ""
    gate_table: str = ""
    status: str = ""
    comparison: str = ""
    build: str = ""
    image: str = ""
    promote_image: str = ""

    def checked(self) -> Opening:
        """Return itself. Raises InputError for an outcome that is none, or without an environment."""
        for name in ("tests", "model_pull", "model_training", "gate", "status", "build"):
            value = getattr(self, name)
            if value not in OUTCOMES and (name, value) != ("build", ELSEWHERE):
                raise InputError.of(
                    name.replace("_", "-"),
                    value,
                    "it is no outcome: success, failure, skipped or cancelled",
                    fix="${{ steps.ID.outcome }}, or of a job ${{ needs.ID.result }}",
                )
        if not self.environment and self != Opening():
            raise InputError(
                "input `environment` is empty, and the report is to say how its promotion went",
                fix="environment: ${{ steps.promotion.outputs.environment }}",
            )
        return self

    @property
    def verdict(self) -> str:
        """Whether the change may be merged, in some words for the title; empty without an environment."""
        if not self.environment:
            return ""
        told = gates.read_table(self.gate_table)
        wrong = [*self._gate_wrong(told), *self._wrong()]
        if wrong:
            more = [f"and {len(wrong) - _MOST_REASONS} more"] if len(wrong) > _MOST_REASONS else []
            return f"refused: {', '.join([*wrong[:_MOST_REASONS], *more])}"
        if self.gate != "success":
            return "not judged, a check before the gate failed"
        if told and not told.rows:
            return "no rules set"
        return "may merge" if told is None or told.compared else gates.NOTHING_COMPARED

    def _gate_wrong(self, told: gates.Told | None) -> list[str]:
        if self.gate != "failure":
            return []
        if not self.gate_table:
            return ["the gate could not judge it"]
        return (told.refused if told else []) or ["the gate says no"]

    def _wrong(self) -> Iterator[str]:
        """Yield what keeps it from a merge but the gate, in some words each."""
        if self.tests not in ("", "success"):
            ended = "failed" if self.tests == "failure" else "did not finish"
            yield f"the project's tests {ended}"
        if self.model_pull == "failure" and self.model_training != "success":
            yield "the model can't be pulled"
        elif self.gate == "success" and not self.promote_image:
            if self.build == "failure":
                yield "the image failed"
            elif self.build not in ("", "success", ELSEWHERE):
                yield "the image was not built"

    def table(self, metrics: Comparison | None = None, reference: str = "") -> Joined:
        """Return the one table; with `metrics`, of the candidate beside `reference`, their rows too."""
        runs = self.comparison if self.status == "success" else ""
        return join(self.gate_table, runs, self.environment, metrics, reference)

    def text(self, joined: Joined | None = None) -> str:
        """Return the opening as Markdown; an empty string where no environment is named."""
        if not self.environment:
            return ""
        joined = joined or self.table()
        parts = (
            *_rules(self),
            *_gate(self, joined.text),
            *_tests(self),
            *_model(self),
            *([] if joined.runs else _comparison(self)),
            *_image(self),
        )
        return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _rules(opening: Opening) -> Iterator[str]:
    if not opening.rules:
        return
    yield "### ⚠️ This change rewrites promotion.yaml"
    yield (
        "What is below was judged by the rules of the target branch. These changes count after the"
        " merge, for every promotion that follows:"
    )
    yield opening.rules


def _gate(opening: Opening, table: str) -> Iterator[str]:
    name = escape(opening.environment)
    told = gates.read_table(opening.gate_table)
    if opening.gate == "success" and told and not told.rows:
        yield f"### promotion.yaml has no rules for {name}: the gate judged nothing"
    elif opening.gate == "success" and told and not told.compared:
        yield f"### The gate of {name} judged nothing: {gates.NOTHING_COMPARED}"
    elif opening.gate == "success":
        yield f"### ✅ The gate of {name} lets this model pass"
    elif opening.gate == "failure" and not opening.gate_table:
        yield f"### ❌ The gate of {name} could not judge this model: see the run"
    elif opening.gate == "failure":
        yield f"### ❌ The gate of {name} refuses this model"
    else:
        yield "### A check before the gate failed: see the run"
    if table:
        yield table


def _tests(opening: Opening) -> Iterator[str]:
    if opening.tests == "success":
        yield "The project's own checks and tests passed."
    elif opening.tests:
        said = "failed" if opening.tests == "failure" else "did not finish"
        yield f"### ❌ The project's own checks and tests {said}: see the run"


def _model(opening: Opening) -> Iterator[str]:
    if opening.model_pull == "success" and opening.model_training:
        yield "The model is the one in the DVC remote."
    if opening.model_pull == "failure" and not opening.model_training:
        yield "### ❌ The model could not be pulled from the DVC remote: see the run"
    if opening.model_pull != "failure" or not opening.model_training:
        return
    missing = "The DVC remote has no such model, or this run may not read it"
    if opening.model_training == "success":
        yield f"{missing}: the model was trained here."
    else:
        yield (
            f"{missing} (a fork has no credentials), and it could not be trained here either."
            " Somebody with write access can push this change to a branch of this repository."
        )


def _comparison(opening: Opening) -> Iterator[str]:
    name = escape(opening.environment)
    if opening.status == "success":
        yield f"### What {name} runs, and what would replace it"
        yield opening.comparison
    elif opening.status:
        yield (
            f"What {name} runs can not be said: the step “What does the environment run now?” of the"
            " run has the reason. A deploy repository that is not public is read with the secret"
            " DEPLOY_READ_TOKEN."
        )


def _image(opening: Opening) -> Iterator[str]:
    name = escape(opening.environment)
    if opening.promote_image and opening.build == ELSEWHERE:
        yield (
            f"Image, built elsewhere: {code(opening.promote_image, longest=_LONGEST)}. promotion.yaml of this"
            " change names it. Nothing is built or tested here, and nothing here says what it is made of."
        )
    elif opening.promote_image:
        yield (
            f"Image, taken over as the environment before runs it:"
            f" {code(opening.promote_image, longest=_LONGEST)}. Nothing is built for {name}."
        )
    elif opening.build == "failure":
        yield "The image could not be built, or failed its smoke test."
    elif opening.build == "success" and "@" in opening.image:
        yield (
            f"Image, smoke-tested: {code(opening.image, longest=_LONGEST)}. It is a rehearsal, and is"
            f" never deployed: what {name} runs after the merge is built from a clean checkout, or taken"
            " over from the environment before."
        )
    elif opening.build == "success":
        yield "The image was built and smoke-tested, and not pushed."
