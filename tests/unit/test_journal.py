"""The request journal's rules: what is claimed, what is replayed, what goes on, and what is said to be incomplete."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from standfast.journal import (
    CHAT,
    COMPLETIONS,
    Action,
    Emitted,
    Head,
    Limits,
    Serving,
    State,
    continued,
    decide,
    may_claim,
    replayed,
)
from tests.journal_fakes import asks

NOW = 1_800_000_000.0
SERVING = Serving("tiny", "v1", "abc", "vllm")
HEAD = Head("r1", State.CLAIMED, 2, "resumer", "us-east-1", COMPLETIONS, str(SERVING), NOW - 5, NOW + 60, NOW + 30)
SOME = Emitted("abc", 3)


def decided(body: bytes, emitted: Emitted = SOME, head: Head = HEAD, serving: Serving = SERVING) -> tuple[Action, str]:
    decision = decide(head, body, emitted, serving, Limits(), NOW)
    return decision.action, decision.reason


def chat(**more: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "q"}], "max_tokens": 6, **more}).encode()


def test_what_was_not_started_is_replayed_whatever_it_asks_for() -> None:
    assert decided(asks(n=3, tools=[{}]), Emitted()) == (Action.REPLAY, "nothing of its answer was emitted")


def test_what_was_begun_goes_on_after_what_was_emitted() -> None:
    assert decided(asks()) == (Action.CONTINUE, "it goes on after 3 tokens")


def test_what_has_its_last_token_only_needs_its_end() -> None:
    assert decided(asks(tokens=3))[0] is Action.FINISH
    assert decided(asks(n=3), Emitted("abc", 3, "stop"))[0] is Action.FINISH


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"n": 2}, "it asked for more than one choice"),
        ({"response_format": {"type": "json_object"}}, "response_format makes it structured"),
        ({"tools": [{"type": "function"}]}, "tools makes it structured"),
        ({"logprobs": 1}, "logprobs looks at every token from the first one on"),
        ({"frequency_penalty": 0.5}, "frequency_penalty looks at every token"),
        ({"prompt": [1, 2, 3]}, "its prompt is no single text"),
        ({"prompt": ["one", "two"]}, "its prompt is no single text"),
    ],
)
def test_what_cannot_be_taken_up_in_the_middle_is_incomplete_and_says_why(more: dict[str, Any], why: str) -> None:
    action, reason = decided(asks(**more))
    assert action is Action.GIVE_UP
    assert reason.startswith("3 tokens of its answer were emitted and ")
    assert why in reason
    assert reason.endswith("send it again")


@pytest.mark.parametrize(
    "serving",
    [replace(SERVING, version="v2"), replace(SERVING, tokenizer_sha256="def"), replace(SERVING, model="other")],
)
def test_another_model_or_tokenizer_does_not_go_on(serving: Serving) -> None:
    action, reason = decided(asks(), serving=serving)
    assert action is Action.GIVE_UP
    assert f"it was begun by tiny v1 abc, and {serving} serves now" in reason


def test_a_model_that_nobody_wrote_down_is_not_taken_for_the_same() -> None:
    assert "begun by a model that nobody wrote down" in decided(asks(), head=replace(HEAD, serving=""))[1]


@pytest.mark.parametrize(
    ("engine", "goes_on"), [("vllm", True), ("llama.cpp", True), ("tgi", False), ("openai", False)]
)
def test_a_chat_goes_on_where_the_engine_continues_a_message(engine: str, goes_on: bool) -> None:
    serving = replace(SERVING, engine=engine)
    action, _ = decided(chat(), head=replace(HEAD, path=CHAT, serving=str(serving)), serving=serving)
    assert action is (Action.CONTINUE if goes_on else Action.GIVE_UP)


def test_a_chat_that_was_itself_a_continuation_does_not_go_on() -> None:
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "half"}]
    assert decided(chat(messages=messages), head=replace(HEAD, path=CHAT))[0] is Action.GIVE_UP


def test_what_was_tried_too_often_is_given_up() -> None:
    assert decided(asks(), Emitted(), replace(HEAD, token=5)) == (
        Action.GIVE_UP,
        "it was tried 4 times and ended none of them: send it again",
    )


def test_what_nobody_waits_for_any_more_is_given_up() -> None:
    assert decided(asks(), head=replace(HEAD, expires_at=NOW)) == (
        Action.GIVE_UP,
        "its time is over: send it again if it is still wanted",
    )


@pytest.mark.parametrize("body", [b"\xff\xfe", b"{", b"[1]"])
def test_a_body_that_is_no_json_object_is_given_up(body: bytes) -> None:
    assert decided(body, Emitted())[0] is Action.GIVE_UP


def test_the_text_so_far_becomes_part_of_the_prompt_and_the_rest_is_asked_for() -> None:
    assert continued(asks("q", 6), COMPLETIONS, SOME, "vllm") == {
        "model": "tiny", "prompt": "qabc", "max_tokens": 3, "stream": True,
    }  # fmt: skip


def test_a_chat_goes_on_from_a_message_of_the_assistants() -> None:
    body = continued(chat(max_completion_tokens=9), CHAT, SOME, "vllm")
    assert body["messages"][-1] == {"role": "assistant", "content": "abc"}
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert (body["max_tokens"], "max_completion_tokens" in body) == (6, False)
    assert "continue_final_message" not in continued(chat(), CHAT, SOME, "llama.cpp")


def test_a_replay_is_streamed_and_else_as_it_came() -> None:
    assert replayed(asks("q", 6, stream=False, seed=1)) == {
        "model": "tiny", "prompt": "q", "max_tokens": 6, "stream": True, "seed": 1,
    }  # fmt: skip


ACCEPTED = replace(HEAD, state=State.ACCEPTED, token=1, owner="g1", claimed_until=0.0)


@pytest.mark.parametrize(
    ("head", "alive", "action", "reason"),
    [
        (ACCEPTED, True, Action.LEAVE, "gateway g1 lives and has it"),
        (ACCEPTED, None, Action.LEAVE, "whether gateway g1 lives is not known, and unknown is not dead"),
        (ACCEPTED, False, Action.CLAIM, "gateway g1 is gone"),
        (replace(ACCEPTED, state=State.INTERRUPTED), True, Action.CLAIM, "g1 said that it was cut off"),
        (HEAD, None, Action.LEAVE, "resumer is at work on it until 1800000030"),
        (
            replace(HEAD, claimed_until=NOW - 1), None, Action.CLAIM,
            "resumer claimed it and has said nothing since 1799999999",
        ),
        (replace(HEAD, state=State.ENDED), False, Action.LEAVE, "it is ended"),
        (replace(HEAD, state=State.INCOMPLETE), False, Action.LEAVE, "it is incomplete"),
    ],
)  # fmt: skip
def test_who_may_claim(head: Head, alive: bool | None, action: Action, reason: str) -> None:
    decision = may_claim(head, alive, NOW)
    assert (decision.action, decision.reason) == (action, reason)
