"""Links by which people answer: what is shown, what decides, and what a link that is not ours learns."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.questions import (
    ABORT,
    APPROVE,
    NO_LINK,
    Question,
    asking,
    claim,
    link,
    message,
    question_id,
    taken,
    unclear,
    used,
)
from tests.builders import EXECUTION, NOW

ASKED = question_id(EXECUTION, "2")
CLOSES = int(NOW) + 600
QUESTION = Question(ASKED, "a-task-token", "shift 50 % to <b>?", NOW, CLOSES)


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


@given(signature=st.binary(min_size=32, max_size=32))
def test_a_link_says_what_was_put_into_it(signature: bytes) -> None:
    found = claim(query(link("https://x.example/", ASKED, CLOSES, signature)), NOW)
    assert found is not None
    assert (found.question_id, found.closes_at, found.signature) == (ASKED, CLOSES, signature)
    assert found.message == message(ASKED, CLOSES)


def test_another_question_or_another_end_is_another_message() -> None:
    assert len({message(ASKED, CLOSES), message(ASKED, CLOSES + 1), message(question_id(EXECUTION, "3"), CLOSES)}) == 3


@pytest.mark.parametrize(
    "change",
    [{"q": "x"}, {"q": ""}, {"e": "soon"}, {"e": "99999999999"}, {"s": "short"}, {"s": "=" * 43}, {"e": "1" * 10}],
)
def test_what_cannot_be_a_link_of_ours_asks_nothing_of_aws(change: dict[str, str]) -> None:
    good = query(link("https://x.example/", ASKED, CLOSES, b"x" * 32))
    assert claim({**good, **change}, NOW) is None


def test_a_link_ends_with_its_question() -> None:
    good = query(link("https://x.example/", ASKED, CLOSES, b"x" * 32))
    assert claim(good, CLOSES - 1) is not None
    assert claim(good, CLOSES) is None


def test_a_page_shows_the_question_as_text_and_two_buttons() -> None:
    page = asking(QUESTION).response()
    body = str(page["body"])
    assert "shift 50 % to &lt;b&gt;?" in body
    assert 'method="post"' in body
    assert "action=" not in body  # to the very link
    assert [f'value="{each}"' in body for each in (APPROVE, ABORT)] == [True, True]
    assert "a-task-token" not in body


def test_a_page_runs_nothing_and_is_kept_and_framed_by_nobody() -> None:
    headers = asking(QUESTION).response()["headers"]
    assert isinstance(headers, dict)
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"


def test_a_link_that_was_used_has_no_buttons() -> None:
    answered = replace(QUESTION, decision=APPROVE, decided_at=NOW, delivered=True)
    for page in (asking(answered), used(answered)):
        assert (page.status, page.buttons) == (410, False)
        assert "go on" in page.text


def test_an_answer_that_did_not_arrive_may_be_given_again() -> None:
    assert asking(replace(QUESTION, decision=APPROVE, decided_at=NOW)).buttons


def test_an_answer_is_confirmed_in_words_and_an_unclear_one_is_asked_again() -> None:
    assert "stop and go back" in taken(replace(QUESTION, decision=ABORT)).text
    assert (unclear(QUESTION).status, unclear(QUESTION).buttons) == (400, True)


def test_a_link_that_is_not_valid_learns_nothing() -> None:
    assert (NO_LINK.status, NO_LINK.buttons) == (403, False)
    assert "shift" not in NO_LINK.text
