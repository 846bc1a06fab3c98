"""The rule of an alarm, `2 of 5 windows`, and what a number must be to say drift, `> 0.1`."""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass

from model_gitops.errors import InputError

MOST_WINDOWS = 1000
_RULE = re.compile(r"([0-9]{1,4})\s+of\s+([0-9]{1,4})(?:\s+windows?)?")
_THRESHOLD = re.compile(
    r"(<=|>=|<|>)\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?)"
)
_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Rule:
    """How many of the last windows must drift before it is an alarm: one bad week is none."""

    needed: int
    of: int

    def __str__(self) -> str:
        return f"{self.needed} of {self.of} window{'' if self.of == 1 else 's'}"


@dataclass(frozen=True)
class Threshold:
    """Which numbers say drift."""

    sign: str
    bound: float

    def holds(self, value: float) -> bool:
        """Whether this number says drift. NaN says none."""
        return bool(_COMPARE[self.sign](value, self.bound))

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:g}"


def parse(text: str) -> Rule:
    """Read `2 of 5 windows`. Raises InputError."""
    found = _RULE.fullmatch(text.strip())
    fix = "rule: 2 of 5 windows"
    if not found:
        raise InputError.of("rule", text, "it is no rule such as `2 of 5 windows`", fix=fix)
    rule = Rule(int(found[1]), int(found[2]))
    if not 1 <= rule.needed <= rule.of <= MOST_WINDOWS:
        raise InputError.of(
            "rule", text, f"the first number is from 1 to the second, which is at most {MOST_WINDOWS}", fix=fix
        )  # fmt: skip
    return rule


def threshold(text: str) -> Threshold | None:
    """Read `> 0.1`; None of an empty text. Raises InputError."""
    if not text.strip():
        return None
    found = _THRESHOLD.fullmatch(text.strip())
    if not found or math.isinf(float(found[2])):
        raise InputError.of(
            "threshold", text, "it is no comparison with a number, such as `> 0.1` or `< 0.05`",
            fix='threshold: "> 0.1"',
        )  # fmt: skip
    return Threshold(found[1], float(found[2]))
