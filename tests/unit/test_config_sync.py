"""A sync: whose turn it is, and what became of every Region."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from standfast import config_sync, config_versions
from standfast.config_reading import read_document
from standfast.config_sync import AdoptInput, Outcome, RegionAnswer, SyncInput, SyncPlan, Turn
from standfast.errors import InvalidInputError

ARN = "arn:aws:states:us-east-1:123456789012:execution:standfast-sync-config:one"
EAST, WEST = "us-east-1", "us-west-2"


def plan(**changes: Any) -> SyncPlan:
    fields = {
        "version": 7,
        "sha256": "a" * 64,
        "token": 3,
        "dry_run": False,
        "text": "",
        "regions": [EAST, WEST],
        "name": "sync-1",
        "by": "me",
        "reason": "a test",
    }
    return SyncPlan.model_validate({**fields, **changes})


def answer(region: str, state: str = "adopted", **changes: Any) -> RegionAnswer:
    return RegionAnswer.model_validate({"region": region, "state": state, "reason": "so", **changes})


# Turns


def test_a_new_document_gets_the_next_number_and_the_next_token() -> None:
    turn, number = config_sync.next_turn(Turn(4, 7, "b" * 64, "another"), ARN, "{}")
    assert (turn, number) == (Turn(5, 8, config_versions.sha256("{}"), ARN), 8)


def test_the_newest_document_again_is_no_new_version() -> None:
    turn, number = config_sync.next_turn(Turn(4, 7, config_versions.sha256("{}"), "another"), ARN, "{}")
    assert (turn.token, number) == (5, 7)


def test_going_back_takes_a_turn_and_makes_no_version() -> None:
    turn, number = config_sync.next_turn(Turn(4, 7, "b" * 64, "another"), ARN, None)
    assert (turn, number) == (Turn(5, 7, "b" * 64, ARN), 0)


def test_a_shared_table_that_was_lost_gives_no_number_and_no_token_twice() -> None:
    newest = config_versions.ConfigVersion(7, "b" * 64)
    assert config_sync.next_turn(Turn(), ARN, "{}", newest=newest, token_here=9) == (
        Turn(10, 8, config_versions.sha256("{}"), ARN),
        8,
    )
    assert config_sync.next_turn(Turn(), ARN, None, newest=newest, token_here=9)[0].token == 10


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.sampled_from(["x", "y"])), max_size=30))
def test_tokens_grow_by_one_and_a_number_never_means_two_texts(syncs: list[tuple[str, str | None]]) -> None:
    last, texts = Turn(), dict[int, str]()
    for number_of_sync, (name, text) in enumerate(syncs):
        arn = f"{name}-{number_of_sync}"
        turn, number = config_sync.next_turn(last, arn, text)
        assert turn.token == last.token + 1
        assert config_sync.next_turn(turn, arn, text) == (turn, number)  # a step that is repeated
        if text is not None:
            assert texts.setdefault(number, text) == text
        last = turn


# Inputs


@pytest.mark.parametrize("given_input", [{}, {"config": {}, "version": 3}])
def test_an_input_has_a_document_or_a_number(given_input: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="give either config, a document, or version"):
        SyncInput.model_validate({**given_input, "by": "me", "reason": "a test"})


@pytest.mark.parametrize("name", ["dryRun", "dry_run"])
def test_a_dry_run_is_spelt_either_way(name: str) -> None:
    assert SyncInput.model_validate({name: True, "version": 1, "by": "me", "reason": "a test"}).dry_run


def test_what_a_region_is_asked_is_an_input_that_it_takes() -> None:
    asked = AdoptInput(version=7, sha256="a" * 64, token=3, dry_run=True, text="{}", by="me", reason="a test")
    assert AdoptInput.model_validate(json.loads(json.dumps(asked.model_dump(mode="json")))) == asked


@pytest.mark.parametrize("text", ["a: [", "7", "- a"])
def test_a_document_that_is_no_yaml_mapping_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"config is no YAML|is not a mapping; begin it with"):
        read_document(text)


def test_an_execution_in_a_region_has_one_name_for_a_repeated_step() -> None:
    names = {config_sync.execution_name(ARN, dry_run) for dry_run in (True, False) for _ in range(2)}
    assert len(names) == 2
    assert max(map(len, names)) <= 80


# Answers


def test_a_region_that_adopted_answers_for_itself() -> None:
    output = {"region": "not mine to say", "state": "adopted", "reason": "so", "changes": ["a: 1 becomes 2"]}
    assert config_sync.answer_of(EAST, Outcome(True, output)) == answer(EAST, changes=["a: 1 becomes 2"])


def test_a_refusal_says_why() -> None:
    found = config_sync.answer_of(EAST, Outcome(True, None, "ConfigRefused", "model: x is not known"))
    assert (found.state, found.reason) == ("refused", "model: x is not known")


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome(True, None, "TIMED_OUT"), "TIMED_OUT"),
        (
            Outcome(
                True,
                None,
                "DidNotAdopt",
                json.dumps({"Error": "AccessDeniedError", "Cause": json.dumps({"errorMessage": "PutItem: denied"})}),
            ),
            "DidNotAdopt: PutItem: denied",
        ),
        (Outcome(True, None, "AdoptionRefused", json.dumps({"errorMessage": "the text is gone"})),
         "AdoptionRefused: the text is gone"),
        (Outcome(True, None, "X", "plain words"), "X: plain words"),
        (Outcome(True, None, "X", "7"), "X: 7"),
    ],
)  # fmt: skip
def test_a_failure_says_the_sentence_of_the_function_that_raised(outcome: Outcome, reason: str) -> None:
    found = config_sync.answer_of(EAST, outcome)
    assert (found.state, found.reason) == ("failed", reason)


def test_a_sync_is_whole_only_when_every_region_has_it() -> None:
    whole = config_sync.conclude(plan(), [answer(EAST), answer(WEST, "unchanged")])
    assert whole["everywhere"] is True
    for state in ("refused", "failed"):
        found = config_sync.conclude(plan(), [answer(EAST), answer(WEST, state)])
        assert found["everywhere"] is False
        assert set(found["regions"]) == {EAST, WEST}


def test_a_region_that_is_not_heard_of_has_failed() -> None:
    found = config_sync.conclude(plan(), [answer(EAST)])
    assert (found["everywhere"], found["regions"][WEST]["state"]) == (False, "failed")


def test_the_text_names_every_region_with_what_changed_in_it() -> None:
    text = config_sync.in_words(
        plan(), [answer(WEST, "refused", reason="no model"), answer(EAST, changes=["a: 1 becomes 2"], mind="x is old")]
    )
    assert text.splitlines() == [
        "configuration version 7 (aaaaaaaa) is in force in 1 of 2 Regions. Asked by me: a test",
        "us-east-1: adopted - so",
        "  a: 1 becomes 2",
        "  Mind: x is old",
        "us-west-2: refused - no model",
    ]


def test_a_dry_run_says_what_would_be() -> None:
    text = config_sync.in_words(plan(dry_run=True), [answer(EAST, "would_adopt"), answer(WEST, "would_adopt")])
    assert text.startswith("the document would be adopted in 2 of 2 Regions.")
    assert "us-east-1: would adopt - so" in text


def test_a_long_difference_is_cut_and_says_so() -> None:
    found = config_sync.shortened([f"field {number}" for number in range(100)])
    assert len(found) == config_sync.MOST_CHANGES + 1
    assert found[-1] == "and 60 fields more"
    assert config_sync.shortened(["a"]) == ["a"]
