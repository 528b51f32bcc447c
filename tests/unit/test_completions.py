"""A streamed completion, event by event, in each form in which engines give logprobs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.probes.completions import BadAnswerError, Event, Reading, Token, WrongModelError, read_event

MODEL = "tiny"


def said(text: str, logprobs: object = None) -> str:
    return json.dumps({"model": MODEL, "choices": [{"text": text, "logprobs": logprobs}]})


def test_lists_beside_each_other_are_read() -> None:
    """vLLM, SGLang and OpenAI."""
    logprobs = {"tokens": [" Paris", "."], "token_logprobs": [-0.1, -1.5], "text_offset": [0]}
    top = [{" Paris": -0.1, " the": -2.5}, None]
    likely = ((" Paris", -0.1), (" the", -2.5))
    tokens = (Token(" Paris", -0.1), Token(".", -1.5))
    assert read_event(said(" Paris.", logprobs), MODEL) == Event(" Paris.", tokens)
    assert read_event(said(" Paris.", {**logprobs, "top_logprobs": top}), MODEL) == Event(
        " Paris.", (replace(tokens[0], likely=likely), tokens[1])
    )


@pytest.mark.parametrize("top", [None, [], [{" Paris": None}, {}], [{"one": -1.0}]])
def test_what_else_was_likely_may_be_unsaid(top: object) -> None:
    logprobs = {"tokens": [" Paris", "."], "token_logprobs": [-0.1, -1.5], "top_logprobs": top}
    assert [token.likely for token in read_event(said(" Paris.", logprobs), MODEL).tokens] == [(), ()]


def test_one_object_a_token_is_read() -> None:
    """llama.cpp."""
    logprobs: dict[str, Any] = {
        "content": [{"id": 278, "token": "3", "bytes": [51], "logprob": -0.6, "top_logprobs": []}]
    }
    assert read_event(said("3", logprobs), MODEL) == Event("3", (Token("3", -0.6),))
    logprobs["content"][0]["top_logprobs"] = [{"token": "3", "logprob": -0.6}, {"token": "4", "logprob": -0.9}]
    assert read_event(said("3", logprobs), MODEL).tokens[0].likely == (("3", -0.6), ("4", -0.9))


def test_an_answer_without_logprobs_is_read() -> None:
    """TGI."""
    assert read_event(said("Paris"), MODEL) == Event("Paris", ())
    assert read_event('{"choices": [{"text": "Paris"}]}', MODEL) == Event("Paris", ())


@pytest.mark.parametrize(
    "logprob",
    ["null", "NaN", "-Infinity", "Infinity", "-9999.0", '"-0.1"', "true"],
    ids=["llama.cpp's NaN", "NaN", "zero probability", "infinity", "vLLM's zero probability", "text", "a truth"],
)
def test_a_logprob_that_no_chosen_token_has_is_not_sane(logprob: str) -> None:
    data = said("x", {"content": [{"token": "x", "logprob": 0}]}).replace('"logprob": 0', f'"logprob": {logprob}')
    (token,) = read_event(data, MODEL).tokens
    assert not token.is_sane


def test_a_finite_logprob_is_sane() -> None:
    assert all(Token("x", logprob).is_sane for logprob in (0, -0.0, -12.5, -9998.0))


@pytest.mark.parametrize(
    "logprobs",
    [
        7,
        [],
        "none",
        {},
        {"content": [7]},
        {"content": 7},
        {"tokens": ["a"], "token_logprobs": []},
        {"tokens": None, "token_logprobs": None},
        {"content": [{"logprob": -1}]},
        {"content": [{"token": "a", "logprob": 10**400}]},
    ],
)
def test_logprobs_of_no_known_form_are_a_bad_answer(logprobs: object) -> None:
    with pytest.raises(BadAnswerError):
        read_event(said("a", logprobs), MODEL)


def test_another_model_is_named() -> None:
    with pytest.raises(WrongModelError, match="other"):
        read_event('{"model": "other", "choices": [{"text": "a"}]}', MODEL)


@given(
    st.text()
    | st.recursive(
        st.none() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    ["choices", "text", "logprobs", "content", "tokens", "token_logprobs", "token", "model"]
                ),
                x,
            )
        ),
    ).map(json.dumps)
)
def test_no_event_whatever_raises_anything_else(data: str) -> None:
    for text in (data, f'{{"choices": [{{"text": "a", "logprobs": {data}}}]}}', f'{{"choices": {data}}}'):
        try:
            read_event(text, MODEL)
        except (BadAnswerError, WrongModelError):
            continue


def reading(*events: tuple[float, Event]) -> Reading:
    found = Reading()
    for at, event in events:
        found.add(event, at)
    return found


def one(text: str, logprob: float | None = -0.5) -> Event:
    return Event(text, (Token(text, logprob),))


def test_the_mean_time_between_tokens_needs_three_of_them() -> None:
    two = [(0.1, one("a")), (0.2, one("b"))]
    assert reading(*two).between_tokens_seconds is None
    assert reading(*two, (0.5, one("c"))).between_tokens_seconds == pytest.approx(0.2)


def test_an_event_of_several_tokens_counts_each() -> None:
    """A speculative decoder sends them together."""
    many = Event("bcde", tuple(Token(text, -0.1) for text in "bcde"))
    assert reading((0.1, one("a")), (0.5, many)).between_tokens_seconds == pytest.approx(0.1)
    assert reading((0.1, many)).between_tokens_seconds is None


def test_an_event_without_text_only_ends_the_completion() -> None:
    found = reading((0.1, one("a")), (0.2, one("b")), (0.3, one("c")), (9.0, Event("")))
    assert found.between_tokens_seconds == pytest.approx(0.1)
    assert (found.first, found.insane) == (Token("a", -0.5), False)


def test_one_token_without_a_finite_logprob_makes_it_all_insane() -> None:
    assert reading((0.1, one("a")), (0.2, one("b", float("nan")))).insane
    assert reading((0.1, one("a")), (0.2, Event("b"))).insane
