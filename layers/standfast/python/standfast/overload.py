"""The overload of one scope's active cluster: looked at every few seconds, shed by one step, and told."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast import lease, shedding, traffic
from standfast.errors import ConflictError, FencedError, LeaseHeldError
from standfast.fleet import Automation
from standfast.lease import Claim, Purpose
from standfast.rule_weights import low_share, on_rules, share
from standfast.scope_ports import ScopePorts
from standfast.shedding import ShedAction

if TYPE_CHECKING:
    from standfast.fleet import Entry
    from standfast.shedding import ShedDecision
    from standfast.shedding_rules import LowPriority
    from standfast.stores import ScopeRecord

STEP_SECONDS = 30.0
"""A step is over by then: a few calls of 3 s at most each. Its lease is free for others afterwards."""
AGAIN_SECONDS = 3600.0
"""A step that is held back is said once an hour."""

logger = logging.getLogger("standfast.overload")


@dataclass(frozen=True, slots=True)
class OverloadGuard(ScopePorts):
    """One scope with its ports. `look` may be repeated, and several may run at once.

    `request_id` is that of the invocation: it tells this holder of the lease from another.
    """

    request_id: str

    def look(self, now: float) -> str:
        """Shed more or less when it is time to. Returns the finding in a sentence."""
        view = self.views.view()
        config, record = view.applied.config, view.scope
        limits, fresh = config.shedding, config.detection.fresh_seconds
        decision = shedding.decide_shed(record, view.assessments, limits, fresh, now)
        if decision.action is ShedAction.NONE:
            since = decision.at_maximum_since
            if since is not None and now - since >= limits.page_seconds:
                told = shedding.told_of_maximum(self.scope_id, decision, since, limits.low_priority)
                self.tell(told, "shed-maximum", now, cluster_id=decision.cluster_id)
            return decision.reason
        entry = config.region(self.scope_id).bound_entry()
        held_back = self._held_back(entry, decision.cluster_id)
        if held_back is None:
            return self._step(entry, record, decision, limits.low_priority, now)
        if held_back:
            subject = f"shed-{decision.action}-held-back-{now // AGAIN_SECONDS:.0f}"
            told = shedding.told_of_held_back(self.scope_id, decision, record.desired.weights, held_back)
            self.tell(told, subject, now, cluster_id=decision.cluster_id)
        return f"{decision.reason}; nothing is changed"

    def _held_back(self, entry: Entry, cluster_id: str) -> str | None:
        """Why nothing is shed, empty when it is not even said, None when it may be."""
        switch = self.switches.read_brake().of(self.scope_id, cluster_id)
        if switch.automation is Automation.OFF:
            return ""
        if entry.shed_target_group_arn is None:
            return "FleetConfig names no shed_target_group_arn"
        if switch.automation is Automation.OBSERVE:
            return f"the switch says {switch}"
        return None

    def _step(
        self, entry: Entry, record: ScopeRecord, decision: ShedDecision, low_priority: LowPriority | None, now: float
    ) -> str:
        before = record.desired.weights
        if traffic.shares(self.balancer.read_weights(entry)) != traffic.shares(on_rules(before, entry)):
            return f"{decision.reason}; the rule is not as desired, which comes first"
        was = shedding.in_short(share(before), low_share(before))
        reason = (
            f"{decision.reason}: {was} was shed, {shedding.in_short(decision.percent, decision.low_percent)} is now"
        )
        try:
            self._write(entry, record, decision, reason, now)
        except (LeaseHeldError, ConflictError, FencedError) as error:
            return f"{decision.reason}; somebody else was first: {error}"
        logger.warning("%s", reason)
        announcement = shedding.told_of_step(self.scope_id, decision, before, low_priority)
        if announcement is not None:
            self.tell(announcement, "shed", now, cluster_id=decision.cluster_id)
        return reason

    def _write(self, entry: Entry, record: ScopeRecord, decision: ShedDecision, reason: str, now: float) -> None:
        """Under the lease, as everybody: desired state, then the rule. Nothing is changed that changed since."""
        claim = Claim(lease.step_holder("shed-overload", self.request_id, now + STEP_SECONDS), Purpose.SHED)
        with lease.for_step(self.scope_id, claim, self.scopes, self.executions, now) as token:
            desired = record.desired
            following = desired.next(token=token, reason=reason, now=now, weights=decision.weights)
            self.scopes.write_desired(self.scope_id, token=token, seen_version=desired.version, desired=following)
            traffic.apply_desired(self.scope_id, entry, self.scopes, self.balancer)
