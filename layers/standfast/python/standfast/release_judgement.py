"""What a stage comes to when the judge of a release has its say beside the assessment's. Pure.

A release needs proof: the judge must promote. A planned move of one version needs none, and waits for none: there the
judge only stops what is proven to fail more often, or to answer otherwise; of two clusters one may be the slower one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast import shifting
from standfast.errors import InvalidInputError
from standfast.judge import Verdict
from standfast.move_judgement import PATIENCE_SECONDS, StageAction, StageDecision
from standfast.steps import MOST_SECONDS

if TYPE_CHECKING:
    from standfast.judge import StageVerdict
    from standfast.rollout_rules import RolloutRules
    from standfast.shifting import ShiftInput, ShiftPlan, Stage


HALF = 50
"""Per cent of the traffic."""


def is_sampled(plan: ShiftPlan) -> bool:
    """Whether synthetic requests are asked. A planned move that does not bake is over before they say anything."""
    return plan.release is not None or plan.bake_seconds > 0


def compares_times(plan: ShiftPlan) -> bool:
    """Whether canary and stable are loaded so that their times can be compared.

    Who has more than half of the traffic answers more slowly than who has the rest, be it no worse: in the last stage
    the stable idles. Where every stage is such a one, they are compared all the same: else nobody would.
    """
    return plan.stage.weight <= HALF or plan.stages[0] > HALF


def check_time(asked: ShiftInput, rules: RolloutRules) -> None:
    """Raise InvalidInputError when a release could outlast its execution: all stages asked about, the last twice."""
    if asked.release is None:
        return
    stages = len(asked.stages)
    longest = stages * (asked.bake_seconds + rules.patience_seconds + PATIENCE_SECONDS) + asked.bake_seconds
    longest += (stages + (asked.stages[0] in asked.pause_before)) * asked.pause_seconds
    if longest > MOST_SECONDS:
        raise InvalidInputError(
            f"bake_seconds, pause_seconds and rollouts.patience_seconds add up to {longest:.0f} s in {stages} stages, "
            f"a release may take {MOST_SECONDS} s; lower one"
        )


def bake_seconds(plan: ShiftPlan, rules: RolloutRules, baked_seconds: float) -> float:
    """After how many seconds the assessment's patience begins. While a release gathers samples, a doubt only waits."""
    if plan.release is None:
        return plan.bake_seconds
    return max(plan.bake_seconds, min(baked_seconds, plan.bake_seconds + rules.patience_seconds))


def combined(assessed: StageDecision, judged: StageVerdict | None, plan: ShiftPlan) -> StageDecision:
    """The stage's decision. `judged` is None where nothing was sampled.

    A person who was asked and said that the last stage shall stay has decided what the judge could not.
    """
    if judged is None or assessed.action is StageAction.ABORT:
        return assessed
    if judged.verdict is Verdict.ABORT:
        return StageDecision(StageAction.ABORT, judged.reason)
    if plan.release is None or plan.stage.vouched:
        return assessed
    if assessed.action is StageAction.WAIT:
        return StageDecision(StageAction.WAIT, f"{assessed.reason}; {judged.reason}")
    return StageDecision(_ACTIONS[judged.verdict], f"{assessed.reason}; {judged.reason}")


_ACTIONS = {
    Verdict.CONTINUE: StageAction.WAIT,
    Verdict.PROMOTE: StageAction.PASS,
    Verdict.INCONCLUSIVE: StageAction.ASK,
}


def following(plan: ShiftPlan, decision: StageDecision) -> Stage:
    """The stage after this one, the same when it is the last; with a question before it when the judge cannot say."""
    last = plan.stage.last
    after = plan.stage if last else shifting.stage(plan, plan.stage.number + 1)
    if decision.action is not StageAction.ASK:
        return after
    return after.model_copy(update={"pause": True, "asked": decision.reason, "vouched": last})
