"""PlanRemedy: what to do next, by what the nodes say and answer now."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, recovery, recovery_start
from standfast.fleet import parse_input
from standfast.recovery import Decision, Evidence, Health, RecoveryAction
from standfast.recovery_steps import DecisionAnswer, PlanStep, TreatmentAnswer


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the Decision. Raises FencedError when another execution has the cluster in charge."""
    step = parse_input(PlanStep, event, "the PlanRemedy task")
    view, record = bootstrap.cluster_table().view(), bootstrap.recovery_table().read_recovery(step.cluster_id)
    if step.may_change:
        record.check_in_charge(step.execution_arn)
    config, now = view.applied.config, bootstrap.clock().now()
    seen = view.assessments.get(step.cluster_id)
    evidence = Evidence(
        cluster_id=step.cluster_id,
        expected=config.region(step.scope_id).cluster(step.cluster_id).replicas,
        serves=recovery_start.serves(view, step.cluster_id),
        members=step.members(),
        remedies=record.remedies,
        taken_out=record.taken_out,
        began_at=step.began_at,
        saturated=seen.saturated if seen and now - seen.assessed_at <= config.detection.fresh_seconds else 0,
    )
    decision = recovery.decide(evidence, config.recovery, now)
    brake = bootstrap.region_table().glance_at_brake()
    if step.may_change and not step.break_glass and (why_not := brake.why_not(step.scope_id, step.cluster_id)):
        decision = Decision(RecoveryAction.GIVE_UP, f"{why_not}; what was next: {decision.action}: {decision.reason}")
    well = [each for each in evidence.members if recovery.health(each, evidence, config.recovery, now) is Health.WELL]
    answer = DecisionAnswer(
        action=str(decision.action),
        reason=decision.reason,
        treatments=[
            TreatmentAnswer(
                # The same until it is recorded, which raises the version.
                remedy_id=f"{each.instance_id}-{each.rung.name.lower().replace('_', '-')}-{record.version}",
                instance_id=each.instance_id,
                rung=each.rung,
                reason=each.reason,
                answers=each.answers,
            )
            for each in decision.treatments
        ],
        bring_back=list(decision.bring_back),
        wait_seconds=decision.wait_seconds,
        serves=evidence.serves,
        well=len(well),
        expected=evidence.expected,
        well_nodes=[each.instance_id for each in well],
    )
    return answer.model_dump(mode="json")
