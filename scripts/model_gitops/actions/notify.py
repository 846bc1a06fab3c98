"""Tell people, by any service that apprise knows or by a signed JSON POST."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Annotated

from model_gitops import runner
from model_gitops.adapters import apprise_services, clock, in_time, webhook
from model_gitops.core.notify import events, signature, target
from model_gitops.core.notify.message import Message
from model_gitops.core.notify.target import MOST_TARGETS, Told
from model_gitops.errors import ActionError
from model_gitops.options import lines, option, secret

OUTPUTS = ("operation", "told", "failed")
# Over all targets: a step that tells is never what a deployment waits for.
SECONDS = 20.0


def command(
    event: Annotated[
        str,
        option(
            "event",
            "What happened: promotion, approval, refusal, failure, rollback, hold, release, drift, "
            "retraining, verification, audit, health or other.",
        ),
    ] = "",
    title: Annotated[
        str, option("title", "One line. Default: made of event, environment, model and version.")
    ] = "",
    message: Annotated[
        str, option("message", "One more line, such as the reason. Default: the event's own words.")
    ] = "",
    environment: Annotated[
        str, option("environment", "Where it happened, such as production.")
    ] = "",
    model: Annotated[str, option("model", "The model's name.")] = "",
    version: Annotated[str, option("version", "Its version, such as v0.0.2.")] = "",
    url: Annotated[str, option("url", "The page to look at. Default: this run.")] = "",
    urls: Annotated[
        str, secret("urls", "Addresses of apprise, one a line: `slack://…`, `mailtos://…`.")
    ] = "",
    webhook_url: Annotated[
        str, secret("webhook", "Address that gets the event as a signed JSON POST.")
    ] = "",
    webhook_secret: Annotated[
        str,
        secret("webhook-secret", "Key of the signature, as Standard Webhooks has it: `whsec_…`."),
    ] = "",
) -> None:
    """Tell all targets, and end with 0 whatever they answer: what failed is a warning."""
    for one in (urls, webhook_url, webhook_secret):
        runner.mask(one)
    apprise_services.prepare()
    try:
        found, problem = events.find(event.strip())
        if problem:
            runner.warning(problem)
        context = runner.context()
        news = Message.of(
            found,
            title=title,
            text=message,
            environment=environment,
            model=model,
            version=version,
            url=url,
            repository=context.repository,
            run=context.run_url if context.repository else "",
            by=context.sender,
        )
        for problem in news.problems:
            runner.warning(problem)
        answers = _tell(news, lines(urls), webhook_url.strip(), webhook_secret.strip())
    except ActionError as error:
        answers = [Told("everybody", error.message)]
    except Exception as error:
        # Its text may hold an address. No deployment fails for want of a message.
        answers = [Told("everybody", f"a bug in model-gitops ({type(error).__name__})")]
    _say(answers)


def _tell(news: Message, urls: list[str], address: str, key: str) -> list[Told]:
    """Tell each target at once; return how each one answered, the webhook last."""
    if len(urls) > MOST_TARGETS:
        runner.warning(
            f"input `urls` has {len(urls)} lines: only the first {MOST_TARGETS} are told"
        )
        urls = urls[:MOST_TARGETS]
    names: list[str] = []
    calls: list[Callable[[float], str]] = []

    def add(name: str, call: Callable[[float], str]) -> None:
        names.append(name)
        calls.append(call)

    for place, url in enumerate(urls, start=1):
        try:
            service, name, problem = apprise_services.service_of(url)
        except Exception as error:
            # One of a hundred services may stumble over its address: the others are told.
            service, name, problem = None, "", f"apprise failed over it ({type(error).__name__})"
        if service is None:
            add(target.name_of(place, name), functools.partial(_refuse, problem))
        else:
            send = functools.partial(apprise_services.send, service, news)
            add(target.name_of(place, name), send)
    if address or key:
        add("the webhook", _post(news, address, key))
    answers = in_time.run_all(calls, SECONDS)
    late = f"it did not end in {SECONDS:.0f} s"
    return [
        Told(name, late if why is None else why) for name, why in zip(names, answers, strict=True)
    ]


def _post(news: Message, address: str, key: str) -> Callable[[float], str]:
    """Return the call that posts to the webhook, or that says why nothing is posted."""
    if not address:
        return functools.partial(_refuse, "input `webhook` is empty, and `webhook-secret` is not")
    if problem := target.problem_of(address):
        return functools.partial(_refuse, f"input `webhook`: {problem}")
    made = signature.key_of(key)
    if made is None:
        how = f"`whsec_` and base64 of 24 to 64 bytes; to make one: {signature.MAKE_ONE}"
        return functools.partial(
            _refuse, f"input `webhook-secret` is {'no key' if key else 'empty'}: {how}"
        )
    now = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    body = json.dumps(news.document(now), ensure_ascii=False).encode()
    return lambda end: webhook.post(
        address, body, lambda at: signature.headers(made, news.id, at, body), end
    )


def _refuse(problem: str, _: float) -> str:
    return problem


def _say(answers: list[Told]) -> None:
    """Write the outputs, and a warning for each target that was not told."""
    wrong = [one for one in answers if one.why]
    for one in wrong:
        runner.warning(f"{one.target} was not told: {one.why}")
    if not answers:
        runner.say(
            "nobody is told: `urls` and `webhook` are empty (docs/notifications.md says how to set them)"
        )
    runner.write_outputs(
        {
            "operation": target.operation(answers),
            "told": str(len(answers) - len(wrong)),
            "failed": str(len(wrong)),
        }
    )
