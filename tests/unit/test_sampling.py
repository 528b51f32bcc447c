"""Synthetic requests side by side: what is asked of whom, and what an answer says of a version."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from standfast import sampling
from standfast.fleet import Canary
from standfast.golden import Golden
from standfast.health import EndpointProbe, Outcome
from standfast.judge import Sample
from standfast.rollout_rules import Bucket
from standfast.sampling import LONGEST_SECONDS, Arm, Comparison, SizedCanary, ask_pairs, sample, sized
from tests.builders import ACTIVE, ENTRY_URL, NOW, STANDBY, fleet
from tests.fakes import HANGS, REFUSES, FakeClock, FakeProber

CANARY = Canary()
GOLDEN = Golden("0f3a", CANARY.prompt, "Paris", -0.1)
ANSWER = EndpointProbe(NOW, NOW + 0.3, Outcome.ANSWERED, "", 0.2, None, "Paris", -0.1, 0.03)


def test_each_size_is_the_canary_s_prompt_as_often_as_it_takes() -> None:
    short, long = sized(CANARY, [Bucket(name="short"), Bucket(name="long", characters=1200, max_tokens=16)], 0.2)
    assert (short.canary.prompt, short.canary.max_tokens) == (CANARY.prompt, 8)
    assert 1200 <= len(long.canary.prompt) < 1200 + 2 * len(CANARY.prompt)
    assert long.canary.max_tokens == 16
    assert short.canary.deadline_seconds == pytest.approx(CANARY.deadline_seconds + 6 * 0.2)
    assert long.canary.deadline_seconds == LONGEST_SECONDS


def pairs_of(prober: FakeProber, rounds: int = 2) -> list[tuple[Sample | None, Sample | None]]:
    canary, stable = (Arm(each, "tiny", ()) for each in (STANDBY, ACTIVE))
    compared = Comparison(canary, stable, [SizedCanary("short", CANARY), SizedCanary("long", CANARY)], rounds)
    found = asyncio.run(ask_pairs(prober, ENTRY_URL, compared, FakeClock(NOW)))
    assert [pair.bucket for pair in found] == ["short", "long"] * (len(found) // 2)
    return [(pair.canary, pair.stable) for pair in found]


def test_both_are_asked_the_same_by_the_entry_s_probe_rules_and_keep_their_places() -> None:
    prober = FakeProber(FakeClock(NOW))
    prober.set(ENTRY_URL, REFUSES, probe_header=STANDBY)
    found = pairs_of(prober)
    assert sorted(prober.asked) == sorted([(ENTRY_URL, STANDBY), (ENTRY_URL, ACTIVE)] * 4)
    assert [(canary.failed, stable.failed) for canary, stable in found if canary and stable] == [(True, False)] * 4


def test_no_round_is_begun_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SAMPLING_SECONDS", 0.3)
    prober = FakeProber(FakeClock(NOW))
    prober.set(ENTRY_URL, replace(HANGS, seconds=0.2), probe_header=STANDBY)
    assert len(pairs_of(prober, rounds=20)) <= 2 * 3


def test_a_planned_move_is_asked_once_more_what_it_is_asked_anyway_and_a_release_all_sizes() -> None:
    config = fleet(rollouts={"rounds": 4})
    canary, stable = (Arm(each, "tiny", ()) for each in (STANDBY, ACTIVE))
    planned, released = (make(canary, stable, config) for make in (sampling.of_planned_move, sampling.of_release))
    assert (planned.rounds, [size.canary for size in planned.sizes]) == (1, [config.model.canary])
    assert (released.rounds, [size.bucket for size in released.sizes]) == (4, ["short", "long"])


@pytest.mark.parametrize(
    ("probe", "golden", "expected"),
    [
        (ANSWER, GOLDEN, Sample(False, False, False, 0.2, 0.03)),
        (ANSWER, None, Sample(False, None, False, 0.2, 0.03)),
        (replace(ANSWER, outcome=Outcome.SLOW), None, Sample(False, None, True, 0.2, 0.03)),
        (replace(ANSWER, first_token="Lyon"), GOLDEN, Sample(False, True)),
        (replace(ANSWER, outcome=Outcome.NONSENSE), GOLDEN, Sample(False, True)),
        (replace(ANSWER, outcome=Outcome.TIMED_OUT), GOLDEN, Sample(True)),
        (replace(ANSWER, outcome=Outcome.WRONG_MODEL), None, Sample(True)),
        (replace(ANSWER, outcome=Outcome.SHED), GOLDEN, None),
    ],
)
def test_what_an_answer_says_of_the_version(
    probe: EndpointProbe, golden: Golden | None, expected: Sample | None
) -> None:
    assert sample(probe, golden, tolerance=0.5) == expected
