"""A hold: a file beside an overlay's kustomization, by which its environment takes no promotion."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from model_gitops.core import document, duration
from model_gitops.core.deploy.trailers import Trailers
from model_gitops.core.line import plain, shortened
from model_gitops.errors import InputError, RefusedError

FILE = "hold.yaml"
# Of a reason as it is read, and of a reason that is given.
_LONGEST, _LONGEST_REASON = 1000, 500
_EXAMPLE = "2026-12-24T18:00:00+01:00"
_LONGEST_SUBJECT = 200
# What joins the reasons of two who hold at once.
_AND = "; and "


@dataclass(frozen=True)
class Hold:
    """Why an environment is held, by whom and since when; times have a zone.

    `until` is when it ends by itself; None: when somebody releases it. `run` is the address of the
    workflow run that set it, empty for a person's own command. A file that a person wrote may lack all
    of it. `problem` says why a file can't be read: that holds too.
    """

    reason: str
    by: str
    since: datetime | None
    until: datetime | None = None
    run: str = ""
    problem: str = ""

    def is_active(self, now: datetime) -> bool:
        """Whether it still holds at the moment `now`."""
        return self.until is None or now < self.until

    @property
    def sentence(self) -> str:
        """Who holds, since when, until when and why: `held by ada since … until …: p95 too high`."""
        if self.problem:
            return f"held, as what holds it can't be read: {self.problem}"
        by = f" by {self.by}" if self.by else ""
        since = f" since {shown(self.since)}" if self.since else ""
        until = f"until {shown(self.until)}" if self.until else "until somebody releases it"
        return f"held{by}{since}, {until}: {self.reason or 'no reason is given'}"


def shown(moment: datetime) -> str:
    """Write a moment for people, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def path_of(overlay: str) -> str:
    """Return where the hold of the overlay in the folder `overlay` is kept."""
    return FILE if overlay == "." else f"{overlay}/{FILE}"


def branch_name(overlay: str, base: str) -> str:
    """Return the branch of the pull request that holds or releases the overlay."""
    key = hashlib.sha256(f"{base}\0{overlay}".encode()).hexdigest()[:8]
    return f"model-gitops/hold-{re.sub(r'[^a-z0-9]+', '-', overlay.lower()).strip('-')[:60]}-{key}"


# --- the file ----------------------------------------------------------------------------------------


def write(hold: Hold) -> str:
    """Return the text of the file."""
    lines = [
        "# This environment takes no promotion until somebody releases it:",
        "# hold-environment with `operation: release`, or a pull request that removes this file.",
        f"reason: {_quoted(hold.reason)}",
        f"by: {_quoted(hold.by)}",
    ]
    lines += [f"since: {_quoted(hold.since.isoformat())}"] if hold.since else []
    lines += [f"until: {_quoted(hold.until.isoformat())}"] if hold.until else []
    lines += [f"run: {_quoted(hold.run)}"] if hold.run else []
    return "\n".join(lines) + "\n"


def read(text: str, *, source: str) -> Hold:
    """Read the text of the file. Raises InputError, naming `source`: who can't read it must not pass."""
    found = document.load_yaml(text, source=source)
    if found is not None and not isinstance(found, Mapping):
        raise InputError(f"{source} holds no mapping", fix='reason: "…"')
    known: Mapping[str, object] = found or {}
    return Hold(
        _text(known, "reason", source),
        _text(known, "by", source),
        _moment(known, "since", source),
        _moment(known, "until", source),
        _text(known, "run", source),
    )


def read_closed(text: str, *, source: str) -> Hold:
    """Read the text of the file; one that can't be read is a hold with a `problem`."""
    try:
        return read(text, source=source)
    except InputError as error:
        return unreadable(error)


def unreadable(error: InputError) -> Hold:
    """Return what a file that can't be read is: a hold without an end."""
    return Hold("", "", None, problem=_clean(error.message))


def _quoted(text: str) -> str:
    """Return a string as JSON has it, which YAML reads too."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)


def _clean(text: str) -> str:
    """Return text from outside as one line that shows all of itself."""
    return shortened(plain(text), _LONGEST)


def _text(found: Mapping[str, object], key: str, source: str) -> str:
    value = found.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        problem = "it is no text"
        raise InputError.of(f"{key} (in {source})", str(value), problem, fix=f'{key}: "..."')
    return _clean(value)


def _moment(found: Mapping[str, object], key: str, source: str) -> datetime | None:
    """Return a moment of the file; without a zone it is in UTC, as YAML has it."""
    value = found.get(key)
    if value is None:
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment.astimezone(UTC)  # which has no year 0, and none after 9999
    except (ValueError, OverflowError) as error:
        raise InputError.of(
            f"{key} (in {source})", str(value), "it is no moment", fix=f'{key}: "{_EXAMPLE}"'
        ) from error
    return moment


# --- what is asked for -------------------------------------------------------------------------------


def reason(text: str) -> str:
    """Return the input `reason` as one line. Raises InputError where it says nothing, or too much.

    What joins the reasons of two is in none of one.
    """
    line = _clean(text).replace(_AND, ", and ")
    if not line:
        raise InputError(
            "input `reason` is empty: who meets the hold must know why it is there",
            fix="reason: p95 too high since v0.0.2",
        )
    if len(line) > _LONGEST_REASON:
        problem = f"it is longer than {_LONGEST_REASON} characters"
        raise InputError.of(
            "reason", line, problem, fix="reason: one sentence, and a link to the rest"
        )
    return line


def parse_until(text: str, now: datetime, name: str = "until") -> datetime | None:
    """Return the moment that input `name` means, None for none: a moment with its zone, or a length.

    Raises InputError for a moment without a zone, in the past, and for what is neither.
    """
    text = text.strip()
    if not text:
        return None
    try:
        if is_length(text):
            moment = now + timedelta(seconds=duration.seconds(text, name))
        else:
            moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        problem = "it is neither a length of time nor a moment"
        raise InputError.of(
            name, text, problem, fix=f"{name}: 2h, or {name}: {_EXAMPLE}"
        ) from error
    if moment.tzinfo is None:
        problem = "it does not say in which zone"
        fix = f"{name}: {moment.isoformat(timespec='minutes')}Z, which is UTC; or +01:00 in place of Z"
        raise InputError.of(name, text, problem, fix=fix)
    if moment <= now:
        problem = f"it is past: it is {shown(now)} now"
        raise InputError.of(name, text, problem, fix=f"{name}: 2h, or leave `{name}` out")
    return moment


def is_length(text: str) -> bool:
    """Whether `text` is a length of time, and no moment."""
    return re.fullmatch(duration.PATTERN, text.strip()) is not None


@dataclass(frozen=True)
class Decision:
    """What becomes of an overlay's hold: `operation` for people, `hold` for the file, None for none.

    `kept` says in words what of the hold before stays, against what was asked for.
    """

    operation: str
    hold: Hold | None
    kept: str = ""


def set_to(
    before: Hold | None, wanted: Hold, now: datetime, *, is_length: bool = False
) -> Decision:
    """Decide what becomes of the hold `before` when `wanted` is asked for: a rerun changes nothing.

    `is_length` says that the end was given as a length of time: then a rerun of the same run, which
    is later, means the same end. Of somebody else's hold neither its reason is lost nor its end made
    earlier: two who hold at once both do.
    """
    if before is None or not before.is_active(now):
        return Decision("held", wanted)
    if before.problem:
        return Decision("updated", wanted)
    after = replace(wanted, since=before.since or wanted.since)
    if is_length and before.until and wanted.run and wanted.run == before.run:
        after = replace(after, until=before.until)
    _, *others = before.reason.split(_AND)
    is_theirs = before.by != wanted.by
    if f"{wanted.by}: {wanted.reason}" in others and is_theirs:
        after = replace(before, until=after.until)  # it is told already
    elif is_theirs:
        told = f"{before.by or 'somebody'}: {before.reason or 'no reason is given'}"
        after = replace(after, reason=_clean(f"{wanted.reason}{_AND}{told}"))
    elif others:
        after = replace(after, reason=_clean(_AND.join((wanted.reason, *others))))
    kept = ""
    if (is_theirs or others) and after.until and after.until != _later(after, before):
        kept = (
            f"it stays held until {shown(before.until) if before.until else 'somebody releases it'}"
        )
        after = replace(after, until=before.until)
    if (after.reason, after.by, after.until) == (before.reason, before.by, before.until):
        return Decision("none", before, kept)
    return Decision("updated", after, kept)


def _later(one: Hold, other: Hold) -> datetime | None:
    """Return the later end of two holds; None for none."""
    return max(one.until, other.until) if one.until and other.until else None


def release(before: Hold | None) -> Decision:
    """Decide what becomes of the hold `before` on a release: also a file that ran out goes."""
    return Decision("released" if before else "none", None)


def commit_text(decision: Decision, environment: str, by: str, why: str) -> tuple[str, Trailers]:
    """Return the first line of the commit that holds or releases, and its trailers.

    `why` is the reason that was given, which a release may lack.
    """
    held = decision.hold
    reason = f": {why}" if why else ""
    line = f"{'Hold' if held else 'Release'} {environment}{reason}"
    found = [("Hold", "true" if held else "false"), ("Hold-By", by), ("Hold-Reason", why)]
    found += [("Hold-Until", held.until.isoformat())] if held and held.until else []
    return shortened(line, _LONGEST_SUBJECT), tuple((key, value) for key, value in found if value)


# --- who is refused ----------------------------------------------------------------------------------


def refused(hold: Hold, environment: str, overlay: str) -> RefusedError:
    """Return the error of a promotion to `environment`, whose `overlay` is held.

    Who knows the overlay alone gives it for both.
    """
    name = "NAME" if environment == overlay else environment
    return RefusedError(
        f"{environment} takes no promotion: it is {hold.sentence}",
        fix="wait, or release it: run hold.yml with the operation `release`, or `scripts/run.sh hold-environment"
        f" --environment {name} --operation release` in a clone (it removes {path_of(overlay)}); then run this job"
        " again. A rollback passes",
    )
