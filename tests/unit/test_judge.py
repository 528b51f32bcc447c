"""The judge of a release: what it passes, gives up, leaves to a person, and in which words."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from standfast.judge import LOOKS, Pair, Sample, StageEvidence, StageVerdict, Verdict, judge, look
from standfast.rollout_rules import Bucket, Metric, RolloutRules

RULES = RolloutRules()
STAGES = 3
WELL = Sample(failed=False, wrong=False, late=False, first_token_seconds=0.2, between_tokens_seconds=0.03)
FAILED = Sample(failed=True)


def told(chance: random.Random, **other: Any) -> Sample:
    """An answer whose times vary a little; `other` scales times, and replaces the rest."""
    first = 0.2 * other.pop("first_token", 1.0) * chance.lognormvariate(0.0, 0.3)
    between = 0.03 * other.pop("between_tokens", 1.0) * chance.lognormvariate(0.0, 0.1)
    return replace(WELL, first_token_seconds=first, between_tokens_seconds=between, **other)


def pairs(count: int = 12, seed: int = 0, canary: Any = (), buckets: Sequence[str] = ("short", "long")) -> list[Pair]:
    """So many pairs, the sizes in turn. `canary` is what is otherwise with it, such as {"first_token": 2.0}."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    return [Pair(buckets[number % len(buckets)], told(chance, **dict(canary)), told(chance)) for number in range(count)]


def looked(*looks: Sequence[Pair], rules: RolloutRules = RULES, warm: bool = True) -> StageEvidence:
    found = StageEvidence()
    for each in looks:
        found = look(found, each, rules, stages=STAGES, warm=warm)
    return found


def judged(
    *looks: Sequence[Pair], baked: float = 150.0, rules: RolloutRules = RULES, warm: bool = True
) -> StageVerdict:
    found = looked(*looks, rules=rules, warm=warm)
    return judge(found, rules, stages=STAGES, baked_seconds=baked, bake_seconds=120)


def many(canary: Any = (), looks: int = 40) -> list[list[Pair]]:
    return [pairs(seed=number, canary=canary) for number in range(looks)]


def test_a_release_that_is_no_worse_is_promoted_and_the_reason_has_the_figures() -> None:
    found = judged(*many())
    assert found.verdict is Verdict.PROMOTE
    assert found.reason.startswith(
        "the canary is no worse: failed requests 0 of 480 (0.0 %) against 0 of 480 (0.0 %), limit 2 points more; "
        "wrong golden answers 0 of 480 (0.0 %)"
    )
    assert "first token (long) 0.19" in found.reason
    assert "in 240 pairs, limit 1.5 times" in found.reason


def test_times_that_cannot_be_compared_say_nothing_and_all_else_says_what_it_did() -> None:
    def verdict(canary: Any) -> Verdict:
        evidence = looked(*many(canary))
        return judge(evidence, RULES, stages=STAGES, baked_seconds=150, bake_seconds=120, times=False).verdict

    assert verdict({"between_tokens": 1.6}) is Verdict.PROMOTE  # the stable idles: judge() alone would abort
    assert judged(*many({"between_tokens": 1.6})).verdict is Verdict.ABORT
    assert verdict({"failed": True}) is Verdict.ABORT


@pytest.mark.parametrize("looks", [0, 1, 30])
def test_an_idle_canary_is_never_promoted(looks: int) -> None:
    idle = [[Pair("short", None, WELL)] * 12] * looks
    assert judged(*idle, baked=150).verdict is Verdict.CONTINUE
    found = judged(*idle, baked=120 + RULES.patience_seconds)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason.startswith("after 0 samples in 1020 s not proven either way: failed requests: no sample")


def test_nothing_is_promoted_before_it_has_baked() -> None:
    found = judged(*many(), baked=119)
    assert found.verdict is Verdict.CONTINUE
    assert "nothing is proven against the canary after 480 samples" in found.reason


def test_nothing_is_promoted_on_fewer_samples_than_are_asked_for() -> None:
    few = RolloutRules(minimum_samples=500)
    assert judged(*many(), rules=few).verdict is Verdict.CONTINUE
    assert judged(*many(looks=90), rules=few).verdict is Verdict.PROMOTE


def test_a_release_that_fails_every_request_is_given_up_after_three_looks_and_not_after_two() -> None:
    failing = [Pair("short", FAILED, WELL)] * 12
    assert judged(*[failing] * (LOOKS - 1), baked=10).verdict is Verdict.CONTINUE
    found = judged(*[failing] * (LOOKS + 1), baked=10)
    assert found.verdict is Verdict.ABORT
    assert found.reason == (
        "the canary is worse: failed requests 48 of 48 (100.0 %) against 0 of 48 (0.0 %), limit 2 points more; "
        "a good one looks so once in 2,100 at most"
    )


def test_one_bad_moment_gives_nothing_up() -> None:
    burst = [Pair("short", FAILED, WELL)] * 12
    found = judged(*many(looks=20), burst, *many(looks=20), baked=10)
    assert found.verdict is Verdict.CONTINUE


@pytest.mark.parametrize(
    ("canary", "words"),
    [
        ({"wrong": True}, "wrong golden answers"),
        ({"first_token": 2.0}, "first token (short) 0.390 s against 0.197 s, 1.98 times"),
        ({"between_tokens": 1.6}, "from token to token (short) 0.04"),
    ],
)
def test_what_is_worse_in_a_critical_metric_is_given_up(canary: dict[str, Any], words: str) -> None:
    found = judged(*many(canary, looks=20), baked=10)
    assert found.verdict is Verdict.ABORT
    assert words in found.reason
    assert [finding.worse for finding in found.findings].count(True) >= 1


def test_a_release_that_is_slow_with_long_requests_alone_is_found() -> None:
    slow = [
        [*pairs(6, number, {"first_token": 2.0}, ["long"]), *pairs(6, number, (), ["short"])] for number in range(20)
    ]
    found = judged(*slow, baked=10)
    assert found.verdict is Verdict.ABORT
    assert "first token (long)" in found.reason
    assert "(short)" not in found.reason


def test_what_is_worse_and_not_critical_is_a_person_s_to_decide() -> None:
    found = judged(*many({"late": True}, looks=10), baked=10)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "in what is not critical: late answers 120 of 120" in found.reason
    strict = RolloutRules(critical=[*RULES.critical, Metric.LATE])
    assert judged(*many({"late": True}, looks=10), baked=10, rules=strict).verdict is Verdict.ABORT


def test_a_difference_that_is_proven_and_small_is_no_reason() -> None:
    """One in a hundred more, of ten thousand: no doubt about it, and less than the limit of two points."""
    hundred = [Pair("short", FAILED, WELL), *[Pair("short", WELL, WELL)] * 99]
    found = judged(*[hundred] * 100, baked=10)
    assert found.verdict is Verdict.CONTINUE
    errors = next(each for each in found.findings if each.metric is Metric.ERRORS)
    assert (errors.worse, errors.good) == (False, True)


def test_while_the_canary_is_cold_its_times_do_not_count_and_its_errors_do() -> None:
    cold = many({"first_token": 5.0, "late": True}, looks=20)
    assert judged(*cold, baked=10, warm=False).verdict is Verdict.CONTINUE
    assert looked(*cold, warm=False).times == {}
    assert judged(*[[Pair("short", FAILED, WELL)] * 12] * 5, baked=10, warm=False).verdict is Verdict.ABORT


def test_what_is_shed_says_nothing_of_a_version() -> None:
    shed = [Pair("short", None, WELL), Pair("short", FAILED, None)] * 6
    assert looked(*[shed] * 10).samples == 0


def test_where_no_golden_answer_is_recorded_a_person_decides_as_soon_as_the_rest_is_proven() -> None:
    unasked = [[replace_wrong(pair) for pair in each] for each in many()]
    found = judged(*unasked, baked=150)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "after 480 samples in 150 s not proven either way: wrong golden answers: no sample"


def replace_wrong(pair: Pair) -> Pair:
    assert pair.canary is not None
    assert pair.stable is not None
    return Pair(pair.bucket, replace(pair.canary, wrong=None), replace(pair.stable, wrong=None))


def test_a_stable_that_is_bad_itself_does_not_make_the_canary_bad() -> None:
    both = [Pair("short", FAILED, FAILED), *pairs(9)]
    assert judged(*[both] * 60, baked=10).verdict is Verdict.CONTINUE


SAMPLES = st.one_of(
    st.none(),
    st.just(FAILED),
    st.builds(
        Sample,
        st.just(value=False),
        st.sampled_from([None, False, True]),
        st.booleans(),
        st.floats(0.0, 3.0),
        st.one_of(st.none(), st.floats(0.0, 1.0)),
    ),
)
PAIRS = st.lists(st.builds(Pair, st.sampled_from(["short", "long", "unknown"]), SAMPLES, SAMPLES), max_size=20)


@given(looks=st.lists(PAIRS, max_size=30), warm=st.booleans())
def test_two_that_answer_alike_are_never_found_apart(looks: list[list[Pair]], warm: bool) -> None:
    alike = [[Pair(pair.bucket, pair.canary, pair.canary) for pair in each] for each in looks]
    assert judged(*alike, baked=10, warm=warm).verdict is Verdict.CONTINUE


@given(looks=st.lists(PAIRS, max_size=30), baked=st.floats(0, 2000))
def test_a_promotion_is_proven_in_every_metric_and_an_abort_in_one(looks: list[list[Pair]], baked: float) -> None:
    found = judged(*looks, baked=baked)
    if found.verdict is Verdict.PROMOTE:
        assert all(each.good for each in found.findings)
        assert baked >= 120
    if found.verdict is Verdict.ABORT:
        assert any(each.worse and each.metric in RULES.critical for each in found.findings)
        assert len(looks) >= LOOKS


@given(each=PAIRS, data=st.data())
def test_the_order_of_the_pairs_of_a_look_does_not_matter(each: list[Pair], data: st.DataObject) -> None:
    turned = data.draw(st.permutations(each))
    one, other = looked(each), looked(turned)
    assert one.shares == other.shares
    assert {name: (time.pairs, time.worse, time.good) for name, time in one.times.items()} == {
        name: (time.pairs, time.worse, time.good) for name, time in other.times.items()
    }


def test_all_comparisons_of_all_stages_share_the_chance_of_a_false_abort() -> None:
    assert RULES.tests == 7
    assert RULES.alpha(3) * 7 * 3 == pytest.approx(0.01)


def test_buckets_have_names_of_their_own() -> None:
    with pytest.raises(ValidationError, match="two buckets have one name"):
        RolloutRules(buckets=[Bucket(name="short"), Bucket(name="short")])
