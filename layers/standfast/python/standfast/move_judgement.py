"""What a planned move comes to, stage by stage: on, not yet, or back; and what becomes of one that was left. Pure.

Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.health import Outcome, Verdict
from standfast.planned_move import is_dead, is_whole, serves
from standfast.traffic import Move, all_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.capacity import Fit
    from standfast.checks import Checked
    from standfast.health import Assessment, EndpointProbe
    from standfast.traffic import Desired, Weights

PATIENCE_SECONDS = 60.0
"""How much longer than its bake a stage may take to become good: one late answer aborts nothing."""


class StageAction(StrEnum):
    """What a stage under judgement comes to."""

    PASS = "pass"  # noqa: S105 - no password
    WAIT = "wait"
    ASK = "ask"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class StageDecision:
    """What to do, and why in a sentence."""

    action: StageAction
    reason: str


def judge_stage(
    target: Assessment | None,
    checked: Checked | None,
    entry: Sequence[EndpointProbe],
    *,
    shifted_at: float,
    bake_seconds: float,
    fresh_seconds: float,
    now: float,
) -> StageDecision:
    """Whether a stage may be followed by the next.

    `target` is the watch's judgement of it, `checked` the last assessment's, `entry` are canaries that were just asked
    as users ask. What is bad aborts at once. What is not good yet, or not known, waits: for `PATIENCE_SECONDS` longer
    than the bake, then it aborts, because nothing forces this move.
    """
    bad, doubt = _against(target, checked, entry, shifted_at, fresh_seconds, now)
    if bad:
        return StageDecision(StageAction.ABORT, bad)
    baked = now - shifted_at
    if baked < bake_seconds:
        return StageDecision(StageAction.WAIT, doubt or f"good after {baked:.0f} s of {bake_seconds:g} s")
    if not doubt:
        return StageDecision(StageAction.PASS, f"good for {baked:.0f} s")
    if baked < bake_seconds + PATIENCE_SECONDS:
        return StageDecision(StageAction.WAIT, doubt)
    return StageDecision(StageAction.ABORT, f"not good {baked - bake_seconds:.0f} s after its bake: {doubt}")


def with_headroom(decision: StageDecision, fit: Fit, weight: int) -> StageDecision:
    """The same, unless the next stage, of this weight, is more than was measured to fit."""
    if decision.action not in (StageAction.PASS, StageAction.ASK) or fit.share is None or 100 * fit.share >= weight:
        return decision
    return StageDecision(StageAction.ABORT, f"the next stage, {weight} %, does not fit: {fit.reason}")


def judge_pause(
    target: Assessment | None,
    checked: Checked | None,
    *,
    is_over: bool,
    asked_at: float,
    fresh_seconds: float,
    now: float,
) -> StageDecision:
    """Whether to go on waiting for a person. Only what is bad ends it: nothing is changed meanwhile.

    `is_over`: there is an answer, or the time for one is up.
    """
    if is_over:
        return StageDecision(StageAction.PASS, "the question is closed")
    bad, _ = _against(target, checked, (), asked_at, fresh_seconds, now)
    if bad:
        return StageDecision(StageAction.ABORT, bad)
    return StageDecision(StageAction.WAIT, "nothing is bad, and nobody has answered yet")


def _against(
    target: Assessment | None,
    checked: Checked | None,
    entry: Sequence[EndpointProbe],
    shifted_at: float,
    fresh_seconds: float,
    now: float,
) -> tuple[str, str]:
    """What is bad, and what is not good yet; empty when there is nothing."""
    failed = [probe for probe in entry if not probe.passed and probe.outcome is not Outcome.SHED]
    said = f"{len(failed)} of {len(entry)} canaries through the entry failed: {failed[-1].outcome}" if failed else ""
    if failed and len(failed) == len(entry):
        return said, ""
    if checked is not None and checked.checked_at > shifted_at and checked.verdict is Verdict.UNHEALTHY:
        return f"the assessment finds {checked.cluster_id} unhealthy: {checked.reason}", ""
    if target is None or now - target.assessed_at > fresh_seconds or target.assessed_at < shifted_at:
        return "", said or "the watch has not judged the target since the shift"
    if target.verdict is Verdict.UNHEALTHY:
        return f"{target.cluster_id} is dead: {target.reason}", ""
    if target.is_saturated:
        busy = f"{target.saturated} of {target.expected} replicas answer too late"
        return f"{target.cluster_id} is saturated: {busy}; the traffic does not fit", ""
    if target.verdict is not Verdict.HEALTHY:
        return "", said or f"{target.cluster_id} is {target.verdict}: {target.reason}"
    return "", said


@dataclass(frozen=True, slots=True)
class AbortDecision:
    """The weights that end a move that is given up; None leaves them as they are, and a person is paged."""

    weights: Weights | None
    reason: str


def decide_abort(
    move: Move, desired: Desired, assessments: Mapping[str, Assessment], fresh_seconds: float, now: float
) -> AbortDecision:
    """Back to the weights of before while the source serves. Traffic never goes back to what failed meanwhile: then
    the target keeps all of it when it serves, else nothing moves; the failover looks for another.
    """
    source, target = assessments.get(move.source), assessments.get(move.target)
    if serves(source, fresh_seconds, now):
        return AbortDecision(move.before, f"{move.source} serves, so the weights of before are restored")
    dead = is_dead(source, fresh_seconds, now)
    lost = f"{move.source} {'died meanwhile' if dead else 'has no fresh proof that it serves'}"
    if dead and serves(target, fresh_seconds, now):
        whole = all_to(move.target, desired.weights)
        return AbortDecision(whole, f"{lost}, so all traffic goes to {move.target}, which serves")
    return AbortDecision(None, f"{lost}, and traffic goes only to what is proven: the weights stay as they are")


class SettleAction(StrEnum):
    """What becomes of a move whose holder is gone."""

    NONE = "none"
    FINISH = "finish"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class SettleDecision:
    """What to do, and why in a sentence."""

    action: SettleAction
    reason: str


def decide_settle(
    desired: Desired, assessments: Mapping[str, Assessment], fresh_seconds: float, now: float
) -> SettleDecision:
    """Finish or undo a move that nobody holds the lease for. With neither proven, the failover decides."""
    move = desired.move
    if move is None:
        return SettleDecision(SettleAction.NONE, "no planned move is under way")
    if is_whole(desired) and serves(assessments.get(move.target), fresh_seconds, now):
        return SettleDecision(SettleAction.FINISH, f"all traffic is at {move.target}, which serves")
    abort = decide_abort(move, desired, assessments, fresh_seconds, now)
    if abort.weights == move.before:
        return SettleDecision(SettleAction.UNDO, abort.reason)
    return SettleDecision(SettleAction.NONE, f"{abort.reason}; the failover looks for another")
