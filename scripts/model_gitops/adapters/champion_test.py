"""Champion against candidate: the recorded requests, sent to both services in turn."""

from __future__ import annotations

import time
from pathlib import Path

from model_gitops import runner
from model_gitops.adapters import paths
from model_gitops.adapters.web_client import Conversation, NoAnswer
from model_gitops.core.flow.champions import Champion
from model_gitops.core.verify import champion as judging
from model_gitops.core.verify.champion import Answer, ChampionReport, Pair, Recorded
from model_gitops.core.verify.row import Row
from model_gitops.errors import InputError

# Of one answer, and of all of them.
_ANSWER_SECONDS = 10.0
_ALL_SECONDS = 300.0
_LARGEST_ANSWER = 1024 * 1024
# Pairs before those that count: a connection, caches, a first request that loads what is loaded late.
_WARM_UP = 5


def compare(
    asked: Champion,
    champion_url: str,
    candidate_url: str,
    top: Path,
    *,
    expected: bool,
    seconds: float = _ALL_SECONDS,
) -> ChampionReport:
    """Send the requests of a file below `top` to both addresses, and judge the answers.

    Each request goes to both, one directly after the other, and first to each of them in turn: what disturbs
    one disturbs the other. Without an address of a champion nothing is asked. `expected`: a champion is
    deployed. After `seconds` no more is asked. Raises InputError for a file that can't be used.
    """
    if not champion_url:
        return judging.without_champion()
    requests = _requests(asked.requests, top)
    times = judging.rounds(len(requests))
    runner.say(
        f"{len(requests)} recorded requests, {times} time(s), to {champion_url} and {candidate_url}"
    )
    plan = requests * times
    try:
        champion, candidate = _Service(champion_url), _Service(candidate_url)
    except NoAnswer as error:
        raise InputError(f"an address of champion or candidate can't be asked: {error}") from error
    pairs: list[Pair] = []
    try:
        for request in (requests * _WARM_UP)[:_WARM_UP]:
            _ask_both(champion, candidate, request, champion_first=True)
        until = time.monotonic() + seconds
        for number, request in enumerate(plan):
            if time.monotonic() > until:
                break
            pairs.append(_ask_both(champion, candidate, request, champion_first=number % 2 == 0))
            if len(pairs) == _WARM_UP and not any(pair.champion.status for pair in pairs):
                # Nobody is there, which a hundred refused connections do not say better.
                break
    finally:
        champion.conversation.close()
        candidate.conversation.close()
    report = judging.judge(asked, pairs, expected=expected)
    if len(pairs) < len(requests) and any(pair.champion.status for pair in pairs):
        row = Row(
            "champion: time", f"{len(requests)} requests in {seconds:g} s", f"{len(pairs)}", False
        )
        return ChampionReport((*report.rows, row), len(pairs))
    return report


class _Service:
    """One of the two."""

    def __init__(self, url: str) -> None:
        self.conversation = Conversation(url)

    def ask(self, request: Recorded) -> Answer:
        try:
            got = self.conversation.ask(
                self.conversation.prefix + request.path,
                method=request.method,
                headers=request.headers,
                body=request.body,
                seconds=_ANSWER_SECONDS,
                largest=_LARGEST_ANSWER,
            )
        except NoAnswer as error:
            return Answer(0, problem=str(error))
        return Answer(got.status, got.body, got.seconds)


def _ask_both(
    champion: _Service, candidate: _Service, request: Recorded, *, champion_first: bool
) -> Pair:
    if champion_first:
        first = champion.ask(request)
        return Pair(request.line, first, candidate.ask(request))
    first = candidate.ask(request)
    return Pair(request.line, champion.ask(request), first)


def _requests(name: str, top: Path) -> list[Recorded]:
    """Read the recorded requests. Raises InputError."""
    source = f"verify.champion.requests, {name},"
    file = top / name
    if paths.leads_out(file, top):
        raise InputError(
            f"{source} leads out of the repository by a link", fix="commit the file itself"
        )
    try:
        content = paths.read_bounded(file, judging.LARGEST)
    except OSError as error:
        raise InputError(
            f"{source} can't be read: {error.strerror}",
            fix="commit a file of recorded requests, or say `champion: false`",
        ) from error
    if len(content) > judging.LARGEST:
        raise InputError(
            f"{source} has more than {judging.LARGEST} bytes", fix="commit its first 1000 lines"
        )
    return judging.parse(content.decode("utf-8", errors="replace"), source.rstrip(","))
