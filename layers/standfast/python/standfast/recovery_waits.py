"""When what a recovery decides could be something else though nothing happened but time. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.recovery import DAY_SECONDS, RELAPSE_SECONDS
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from standfast.recovery import Evidence
    from standfast.recovery_rules import RecoveryRules


def next_change_at(evidence: Evidence, rules: RecoveryRules, now: float) -> float | None:
    """The first moment after `now` (seconds since the epoch) at which `recovery.decide` may answer with another action.

    None where time alone changes nothing any more. Until then whoever waits need not ask again.
    """
    return min((at for at in _moments(evidence, rules) if at > now), default=None)


def _moments(evidence: Evidence, rules: RecoveryRules) -> Iterator[float]:
    yield evidence.began_at + rules.start_seconds  # no report is waited for any longer
    yield evidence.began_at + rules.deadline_seconds
    for member in evidence.members:
        yield member.launched_at + rules.start_seconds
        yield member.launched_at + RELAPSE_SECONDS
    for remedy in evidence.remedies:
        yield remedy.at + rules.start_seconds
        yield remedy.at + RELAPSE_SECONDS
        yield remedy.at + DAY_SECONDS
        if remedy.rung is Action.REPLACE:
            yield from (max(remedy.at, member.launched_at) + RELAPSE_SECONDS for member in evidence.members)
