"""What a preflight says beside whether a failover would work: what would stand in its way, or make it wrong. Pure.

Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast.announcements import cause_in_words
from standfast.checks import CheckName
from standfast.health import Verdict
from standfast.lease import Purpose
from standfast.rule_weights import on_rules
from standfast.traffic import describe, shares

if TYPE_CHECKING:
    from collections.abc import Iterator

    from standfast.brake import Brake
    from standfast.steps import DrainStep
    from standfast.stores import View
    from standfast.traffic import Weights


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing to mend before it is needed. `kind` is a word by which people are told of it once."""

    kind: str
    reason: str


def obstacles(view: View, brake: Brake, actual: Weights, chosen: str, now: float) -> list[Obstacle]:
    """All of them. `actual` are the rule's weights, `chosen` is the standby that would take over."""
    return [
        *_of_the_lease(view, now),
        *_of_the_switch(view, brake),
        *_of_the_model(view, chosen),
        *_drift(view, actual),
    ]


def of_the_quotas(step: DrainStep) -> list[Obstacle]:
    """Those that do not suffice, by what LookAtQuotas answered; where it did not, that nobody knows, and why.

    The two are of different kinds, so that whoever mends a permission is told of the quota that it shows.
    """
    if step.quotas is not None:
        return [Obstacle("quota", reason) for reason in step.quotas.short]
    why = cause_in_words(step.error) if step.error else "nobody asked"
    return [Obstacle("unread quota", f"whether AWS's quotas let a lost cluster be rebuilt is not known: {why}")]


def _of_the_lease(view: View, now: float) -> Iterator[Obstacle]:
    record = view.scope
    if record.lease.holder is not None and record.lease.purpose is Purpose.FAILOVER:
        held = now - record.lease.acquired_at
        yield Obstacle(
            "lease", f"{record.lease.holder} has held the lease for {held:.0f} s; a failover would wait for it"
        )
    if record.not_before > now:
        wait = record.not_before - now
        yield Obstacle("hold-down", f"after {record.attempts} failed attempts the next may start in {wait:.0f} s")


def _of_the_switch(view: View, brake: Brake) -> Iterator[Obstacle]:
    if why_not := brake.why_not(view.scope.scope_id, *sorted(view.scope.desired.roles)):
        yield Obstacle("switch", f"{why_not}: a failover would be decided and told, and not made")


def _of_the_model(view: View, chosen: str) -> Iterator[Obstacle]:
    """Traffic that meets another model is served, and wrongly."""
    checked = view.checks.get(chosen)
    for check in checked.checks if checked else ():
        if check.name is CheckName.MODEL and check.verdict in (Verdict.DEGRADED, Verdict.UNHEALTHY):
            yield Obstacle("model", f"{chosen}, by its last assessment: {check.reason}")


def _drift(view: View, actual: Weights) -> Iterator[Obstacle]:
    entry = view.applied.config.region(view.scope.scope_id).bound_entry()
    wanted = on_rules(view.scope.desired.weights, entry)
    if shares(actual) != shares(wanted):
        yield Obstacle("weights", f"the rule has {describe(actual)}, wanted is {describe(wanted)}")
