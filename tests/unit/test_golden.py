"""Golden answers: on what replicas must agree, and what is no answer of a healthy model."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.answering import answer, assessment_canary, doubtful, other_model
from standfast.engine import EngineDescription, EngineMetrics, EngineState
from standfast.errors import NoGoldenAnswerError
from standfast.fleet import Canary, Model
from standfast.golden import ASKED_EACH, NONCES, Golden, agreed, compared, question
from standfast.health import EndpointProbe, Outcome
from standfast.health_rules import Objectives
from tests.builders import NOW, probe

PROMPT = "The capital of France is"
TOLERANCE = 0.5
SURE = Golden("0f3a", PROMPT, " Paris", -0.1)
UNSURE = Golden("5c81", PROMPT, " the", -1.2)
MODEL = Model(name="tiny", engine="vllm")
READY = EngineDescription(EngineState.READY, ("tiny",))


def said(
    text: str = " Paris", logprob: float | None = -0.1, outcome: Outcome = Outcome.ANSWERED, **likely: float
) -> EndpointProbe:
    """`likely`: the likeliest tokens, behind a space each, where the engine says them."""
    first_likely = tuple((f" {token}", number) for token, number in likely.items())
    return replace(probe(outcome), first_token=text, first_logprob=logprob, first_likely=first_likely)


def told(first: EndpointProbe, **others: EndpointProbe) -> dict[str, list[EndpointProbe]]:
    """What one replica answered: the same to every question, but for those under `n` and the nonce."""
    return {nonce: [others.get(f"n{nonce}", first)] * ASKED_EACH for nonce in NONCES}


@pytest.mark.parametrize(
    ("golden", "token", "logprob"),
    [
        (SURE, " Paris", -0.1),
        (SURE, " Paris", -0.6),
        (UNSURE, " the", -1.7),
        (UNSURE, " a", -1.25),
    ],
    ids=["the same", "as far away as may be", "unsure and a little away", "another that was as likely"],
)
def test_an_answer_near_the_golden_one_passes(golden: Golden, token: str, logprob: float) -> None:
    found = said(token, logprob)
    assert compared(found, golden, TOLERANCE) == found


@pytest.mark.parametrize(
    ("golden", "token", "logprob", "why"),
    [
        (SURE, "!", -0.1, "its first token is not the golden one"),
        (SURE, " Paris", -0.7, "the logprob of its first token is 0.60 away from the golden one, more than 0.5"),
        (UNSURE, "!", -9.0, "its first token is not the golden one"),
        (UNSURE, "!", 0.0, "its first token is not the golden one"),
        (UNSURE, " the", -2.0, "the logprob of its first token is 0.80 away"),
        (SURE, " Paris", None, "no logprob"),
    ],
)
def test_an_answer_apart_from_the_golden_one_is_nonsense(
    golden: Golden, token: str, logprob: float | None, why: str
) -> None:
    found = compared(said(token, logprob), golden, TOLERANCE)
    assert found.outcome is Outcome.NONSENSE
    assert found.detail.startswith(why)


def test_another_token_is_a_near_tie_only_where_the_golden_one_is_still_as_likely() -> None:
    tie = said(" a", -1.25, a=-1.25, the=-1.27)
    assert compared(tie, UNSURE, TOLERANCE) == tie
    for wrong in (said(" a", -1.25, a=-1.25, the=-4.0), said(" a", -1.25, a=-1.25, this=-1.3)):
        found = compared(wrong, UNSURE, TOLERANCE)
        assert found.outcome is Outcome.NONSENSE
        assert found.detail == "its first token is not the golden one, which it does not find as likely"


@pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.REFUSED, Outcome.WRONG_MODEL, Outcome.DENIED])
def test_a_probe_that_failed_stays_as_it_failed(outcome: Outcome) -> None:
    assert compared(said("!", None, outcome), SURE, TOLERANCE).outcome is outcome


def test_each_question_has_its_turn_and_unsure_ones_only_without_sure_ones() -> None:
    other = replace(SURE, nonce="a947")
    asked = [question([SURE, UNSURE, other], PROMPT, NOW + second) for second in range(4)]
    assert {golden.nonce for golden in asked if golden} == {"0f3a", "a947"}
    assert question([UNSURE], PROMPT, NOW) == UNSURE


def test_an_answer_to_another_prompt_is_asked_of_nobody() -> None:
    assert question([SURE, UNSURE], "another prompt", NOW) is None
    assert question([], PROMPT, NOW) is None


def test_replicas_that_agree_give_an_answer_to_each_question() -> None:
    asked = {"i-1": told(said(logprob=-0.1)), "i-2": told(said(logprob=-0.3))}
    answers = agreed(asked, PROMPT, TOLERANCE)
    assert [golden.nonce for golden in answers] == list(NONCES)
    assert {golden.first_token for golden in answers} == {" Paris"}
    assert answers[0].logprob == pytest.approx(-0.2)


def test_the_only_replica_must_agree_with_itself() -> None:
    assert len(agreed({"i-1": told(said())}, PROMPT, TOLERANCE)) == len(NONCES)
    wavering = told(said()) | {NONCES[1]: [said(), said("!")]}
    with pytest.raises(NoGoldenAnswerError, match="do not agree on the question 5c81; i-1"):
        agreed({"i-1": wavering}, PROMPT, TOLERANCE)


def test_a_replica_that_is_down_keeps_nobody_from_agreeing() -> None:
    down = told(probe(Outcome.REFUSED))
    assert agreed({"i-1": down, "i-2": told(said()), "i-3": told(said())}, PROMPT, TOLERANCE)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({}, "0 of 0 replicas answered"),
        (
            {"i-1": told(said()), "i-2": told(probe(Outcome.REFUSED))},
            "1 of 2 replicas answered every question, too few to trust each other; i-2: connection refused",
        ),
        (
            {"i-1": told(said()), "i-2": told(said()), "i-3": told(said("!"))},
            "do not agree on the question 0f3a; i-3: its first",
        ),
        (
            {"i-1": told(said(logprob=-0.1)), "i-2": told(said(logprob=-1.3))},
            "do not agree on the question 0f3a; i-1: the logprob",
        ),
        ({"i-1": told(said(), n5c81=said("!")), "i-2": told(said())}, "do not agree on the question 5c81"),
        ({"i-1": told(said(logprob=None)), "i-2": told(said(logprob=None))}, "the engine says no logprobs"),
        (
            {"i-1": told(probe(Outcome.NONSENSE)), "i-2": told(probe(Outcome.NONSENSE))},
            "0 of 2 replicas answered every question",
        ),
    ],
    ids=["nobody", "one of two", "one has another token", "logprobs apart", "one question", "no logprobs", "nonsense"],
)
def test_without_agreement_nothing_is_golden(asked: dict[str, dict[str, list[EndpointProbe]]], why: str) -> None:
    with pytest.raises(NoGoldenAnswerError, match=why):
        agreed(asked, PROMPT, TOLERANCE)


@given(
    st.lists(st.tuples(st.sampled_from([" Paris", "!"]), st.floats(-20, 0)), min_size=1, max_size=5),
    st.floats(0.1, 2),
)
def test_who_made_a_golden_answer_passes_it(answers: list[tuple[str, float]], tolerance: float) -> None:
    asked = {f"i-{number}": told(said(*each)) for number, each in enumerate(answers)}
    try:
        golden = agreed(asked, PROMPT, tolerance)
    except NoGoldenAnswerError:
        return
    for probes in asked.values():
        for each in golden:
            assert all(compared(found, each, tolerance).passed for found in probes[each.nonce])


def test_more_than_half_of_all_probability_is_sure() -> None:
    assert Golden("", "", "", math.log(0.51)).is_sure
    assert not Golden("", "", "", math.log(0.49)).is_sure


# The answer that the checks judge


def test_an_assessments_canary_may_take_the_time_of_its_further_tokens() -> None:
    found = assessment_canary(Canary(), Objectives(between_tokens_seconds=0.1))
    assert (found.max_tokens, found.first_token_seconds) == (4, 1.0)
    assert found.deadline_seconds == pytest.approx(1.7)
    long = Canary(max_tokens=8)
    assert assessment_canary(long, Objectives()) == long


def test_an_answer_tells_what_was_found_of_a_replica() -> None:
    asleep = EngineDescription(EngineState.ASLEEP, ("tiny",), detail="its weights are put away")
    found = answer("i-1:8000", said("!"), asleep, MODEL, SURE)
    assert (found.outcome, found.golden) == (Outcome.NONSENSE, True)
    assert (found.state, found.state_detail, found.other_model) == (EngineState.ASLEEP, "its weights are put away", "")
    assert answer("i-1:8000", said("!"), READY, MODEL, None).outcome is Outcome.ANSWERED


@pytest.mark.parametrize(
    ("loaded", "version", "wanted", "other"),
    [
        (("tiny",), None, None, ""),
        (("an-adapter", "tiny"), "v6", None, ""),
        (("tiny",), "v7", "v7", ""),
        (("tiny",), None, "v7", ""),
        ((), None, "v7", ""),
        (("huge",), "v7", "v7", "huge"),
        (("tiny",), "v6", "v7", "tiny in version v6"),
    ],
)
def test_another_model_or_version_is_named_and_what_is_not_said_is_none(
    loaded: tuple[str, ...], version: str | None, wanted: str | None, other: str
) -> None:
    model = Model(name="tiny", engine="vllm", version=wanted)
    assert other_model(EngineDescription(EngineState.READY, loaded, version), model) == other


def late(took: float = 1.2) -> EndpointProbe:
    return replace(said(outcome=Outcome.SLOW), first_token_seconds=took)


def timed_out(progress: float | None = None) -> EndpointProbe:
    return probe(Outcome.TIMED_OUT, progress=progress)


@pytest.mark.parametrize(
    ("first", "is_asked_again"),
    [
        (timed_out(), True),
        (probe(Outcome.REFUSED), True),
        (probe(Outcome.BAD_STATUS), True),
        (probe(Outcome.BAD_ANSWER), True),
        (late(), True),
        (replace(said(), first_token_seconds=0.6), True),
        (replace(said(), between_tokens_seconds=0.3), True),
        (said(), False),
        (probe(Outcome.WRONG_MODEL), False),
        (probe(Outcome.NONSENSE), False),
        (probe(Outcome.DENIED), False),
    ],
    ids=lambda given: str(given.outcome) if isinstance(given, EndpointProbe) else "",
)
def test_what_a_hiccup_may_explain_is_asked_again_and_what_none_explains_is_not(
    first: EndpointProbe, is_asked_again: bool
) -> None:
    asked = doubtful({"i-1": said(), "i-2": said(), "i-3": said(), "i-4": first}, MODEL.canary, Objectives())
    assert asked == ({"i-4"} if is_asked_again else set())


@pytest.mark.parametrize(
    ("first", "again", "stands"),
    [
        (timed_out(), said(), Outcome.ANSWERED),
        (late(), said(), Outcome.ANSWERED),
        (late(), timed_out(), Outcome.SLOW),
        (late(1.4), late(1.1), Outcome.SLOW),
        (timed_out(), probe(Outcome.REFUSED), Outcome.REFUSED),
        (timed_out(), said("!"), Outcome.NONSENSE),
        (late(), probe(Outcome.WRONG_MODEL), Outcome.WRONG_MODEL),
        (replace(late(), first_token="!"), said(), Outcome.NONSENSE),
    ],
)
def test_of_two_answers_the_better_stands_unless_one_is_certain(
    first: EndpointProbe, again: EndpointProbe, stands: Outcome
) -> None:
    assert answer("i-1:8000", first, READY, MODEL, SURE, again).outcome is stands


def test_of_two_that_passed_the_quicker_and_the_steadier_count() -> None:
    first = replace(said(), first_token_seconds=0.6, between_tokens_seconds=0.05)
    again = replace(said(), first_token_seconds=0.1, between_tokens_seconds=0.3)
    found = answer("i-1:8000", first, READY, MODEL, SURE, again)
    assert (found.first_token_seconds, found.between_tokens_seconds) == (0.1, 0.05)
    unpaced = replace(first, between_tokens_seconds=None)
    assert answer("i-1:8000", unpaced, READY, MODEL, SURE, unpaced).between_tokens_seconds is None


@pytest.mark.parametrize(
    ("before", "again", "saturated"),
    [
        (100.0, timed_out(104.0), True),
        (100.0, timed_out(100.0), False),
        (None, timed_out(104.0), False),
        (100.0, timed_out(None), False),
        (100.0, probe(Outcome.REFUSED, progress=104.0), False),
        (100.0, replace(said(), progress=104.0), False),
    ],
    ids=["moved", "stood still", "not said before", "not said again", "is gone", "answered"],
)
def test_late_twice_while_the_counter_moved_is_saturated(
    before: float | None, again: EndpointProbe, saturated: bool
) -> None:
    working = replace(READY, metrics=EngineMetrics(progress=before))
    assert answer("i-1:8000", timed_out(), working, MODEL, SURE, again).saturated is saturated
    assert not answer("i-1:8000", timed_out(), working, MODEL, SURE).saturated
