"""ConcludeReplication: what became of each Region, whom to tell, and whether a release begins."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, replicating
from standfast.errors import AccessDeniedError, InvalidInputError
from standfast.fleet import parse_input
from standfast.release_ready import ready
from standfast.replicating import SCHEDULE, ConcludeStep


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether every Region has the model, with each Region's result. A failure is told to people.

    So is a new version that the whole fleet has; where FleetConfig says so its release begins. May be repeated.
    """
    step = parse_input(ConcludeStep, event, "the ConcludeReplication task")
    conclusion = replicating.conclude(step)
    messenger = bootstrap.messenger()
    if conclusion.is_news:
        messenger.notice(conclusion.subject, conclusion.text)
    if not conclusion.succeeded:
        messenger.event("ReplicationFailed", conclusion.detail())
    elif step.plan.trigger != SCHEDULE:
        _release(step)
    return conclusion.answer()


def _release(step: ConcludeStep) -> None:
    config = bootstrap.cluster_table().read_config().config
    found = ready(step.plan, [each.region for each in step.results], config)
    if found is None:
        return
    why_not = ""
    if found.starts:
        try:
            bootstrap.pulls().start_release(bootstrap.settings().region, found.name, found.payload)
        except (AccessDeniedError, InvalidInputError) as error:  # no machine here: the models are verified all the same
            why_not = str(error)
    bootstrap.messenger().notice(f"{step.plan.name} is ready to be released", found.text(why_not))
