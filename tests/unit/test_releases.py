"""The simulated releases, and the judges that are shown them."""

from __future__ import annotations

from sandbox.judges import BAKE_SECONDS, JUDGES, OURS, STAGES, Fate, run_release
from sandbox.releases import GOOD, Effect, Stage
from standfast.rollout_rules import RolloutRules

RULES = RolloutRules()


def test_a_number_gives_the_same_release_each_time_and_another_number_another() -> None:
    one, again, other = (Stage(GOOD, RULES, seed) for seed in ("1", "1", "2"))
    assert one.look(3) == again.look(3)
    assert one.look(3) is one.look(3)
    assert one.look(3) != other.look(3)
    assert len(one.look(0)) == RULES.rounds * len(RULES.buckets)


def test_good_releases_go_through_all_stages_and_bad_ones_end_in_the_first() -> None:
    for number in range(8):
        outcome = run_release(GOOD, RULES, number, seed=1)[OURS]
        assert (outcome.fate, outcome.stage) == (Fate.PROMOTED, STAGES)
        assert outcome.seconds >= STAGES * BAKE_SECONDS
    bad = (
        Effect("errors", errors=0.05),
        Effect("slow", first_token=2.0),
        Effect("dragging", between_tokens=1.6),
        Effect("nonsense", wrong=1.0),
    )
    for effect in bad:
        for number in range(8):
            outcome = run_release(effect, RULES, number, seed=1)[OURS]
            assert (outcome.fate is Fate.PROMOTED, outcome.stage) == (False, 1), effect


def test_every_judge_stops_what_nobody_could_miss() -> None:
    outcomes = run_release(Effect("broken", errors=0.5), RULES, 0, seed=1)
    assert set(outcomes) == set(JUDGES)
    assert {outcome.fate for outcome in outcomes.values()} == {Fate.ABORTED}
