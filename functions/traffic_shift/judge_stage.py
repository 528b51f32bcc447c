"""JudgeStage: is the target well under the stage's traffic, are users served, and is a release no worse?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, capacity, move_judgement, release_judgement, sampling, shifting
from standfast.bootstrap_rollouts import judge_table
from standfast.fleet import parse_input
from standfast.judge import judge, look
from standfast.model_versions import expected_in
from standfast.shifting import JudgeAnswer, JudgeStep

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig
    from standfast.judge import Pair, StageVerdict
    from standfast.sampling import Comparison
    from standfast.stores import View


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer pass, wait, ask or abort. Raises FencedError when somebody else holds the lease by now."""
    step = parse_input(JudgeStep, event, "the JudgeStage task")
    view = bootstrap.cluster_table().view()
    shifting.check_lease(view.scope, step.holder, step.token)
    config, clock, live = view.applied.config, bootstrap.clock(), expected_in(view, step.source).model
    region, shifted_at, began = config.region(step.scope_id), step.shift.shifted_at, clock.now()
    compared = _compared(step, view) if release_judgement.is_sampled(step) else None
    asked, pairs = asyncio.run(sampling.ask(bootstrap.prober(config.model), region.entry.url, live, compared, clock))
    now = clock.now()
    decision = move_judgement.judge_stage(
        view.assessments.get(step.target),
        view.checks.get(step.target),
        asked,
        shifted_at=shifted_at,
        bake_seconds=release_judgement.bake_seconds(step, config.rollouts, now - shifted_at),
        fresh_seconds=config.detection.fresh_seconds,
        now=now,
    )
    if pairs:
        decision = release_judgement.combined(decision, _judged(step, config, pairs, began, now), step)
    following = release_judgement.following(step, decision)
    if not step.accept_overload:
        # What was measured before the shift was held against all of the traffic before it began.
        since = {name: load for name, load in view.loads.items() if load.measured_at > shifted_at}
        fit = capacity.fit(step.source, step.target, region.clusters, since, now, readings=1)
        decision = move_judgement.with_headroom(decision, fit, following.weight)
    answer = JudgeAnswer(action=decision.action, reason=decision.reason, last=step.stage.last, next=following)
    return answer.model_dump(mode="json")


def _compared(step: JudgeStep, view: View) -> Comparison:
    """The target beside the source, each with the golden answers of what it serves."""
    table = bootstrap.cluster_table()
    there, here = step.served(expected_in(view, step.target).version), expected_in(view, step.source).version
    target = sampling.Arm(step.target, there.name, table.read_golden(there.name, there.version))
    source = sampling.Arm(step.source, here.name, table.read_golden(here.name, here.version))
    asked = sampling.of_release if step.release else sampling.of_planned_move
    return asked(target, source, view.applied.config)


def _judged(step: JudgeStep, config: FleetConfig, pairs: list[Pair], began: float, now: float) -> StageVerdict:
    """What the judge finds with one look more, which is kept."""
    store, rules, stages = judge_table(), config.rollouts, len(step.stages)
    version, shifted_at = step.shift.version, step.shift.shifted_at
    warm = step.release is not None and began - shifted_at >= rules.cold_start_seconds
    found = look(store.read_evidence(version), pairs, rules, stages=stages, warm=warm)
    store.write_evidence(version, found, token=step.token, now=now)
    baked, times = now - shifted_at, release_judgement.compares_times(step)
    return judge(found, rules, stages=stages, baked_seconds=baked, bake_seconds=step.bake_seconds, times=times)
