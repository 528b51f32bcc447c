"""A question to a person, asked by a link that needs no login. Pure.

The link holds what is asked, until when, and a signature over the two by a key that never leaves KMS. Mail scanners
and previews follow links: a GET shows a page with two buttons, only a POST decides, and it decides once. Whoever has no
valid link learns nothing, not even whether there is a question.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

APPROVE, ABORT = "approve", "abort"
_ID = re.compile(r"[0-9a-f]{32}")
_MOMENT = re.compile(r"\d{10}")
_SIGNATURE = re.compile(r"[A-Za-z0-9_-]{43}")
"""Of 32 bytes (HMAC-SHA-256), without padding."""
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
"""The page runs nothing, loads nothing, is framed by nobody, and tells its address to nobody."""


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody is asked. `task_token` is Step Functions' own; `closes_at` is in seconds since the epoch.

    `decision` is None until somebody decided; `delivered` once Step Functions has it.
    """

    question_id: str
    task_token: str
    text: str
    asked_at: float
    closes_at: int
    decision: str | None = None
    decided_at: float | None = None
    delivered: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """What a link says, of which only the signature says that it is true."""

    question_id: str
    closes_at: int
    signature: bytes

    @property
    def message(self) -> bytes:
        """What is signed."""
        return message(self.question_id, self.closes_at)


class QuestionStore(Protocol):
    """Questions to people. What was decided once stays."""

    def write_question(self, question: Question) -> None:
        """Replace a question, which is open again by that. May be repeated."""
        ...

    def read_question(self, question_id: str) -> Question | None:
        """The question, None when there is none. Raises CorruptStateError."""
        ...

    def write_decision(self, question_id: str, decision: str, *, now: float) -> bool:
        """Record the decision. Atomic: False when it was decided before, or its time is up."""
        ...

    def mark_delivered(self, question_id: str) -> None:
        """The decision arrived where it was waited for. May be repeated."""
        ...


def question_id(execution_arn: str, stage: str) -> str:
    """The same for a step that runs twice. No secret: the signature is."""
    return hashlib.sha256(f"{execution_arn}#{stage}".encode()).hexdigest()[:32]


def message(question_id: str, closes_at: int) -> bytes:
    """What is signed of a link."""
    return f"standfast answer {question_id} until {closes_at}".encode()


def link(url: str, question_id: str, closes_at: int, signature: bytes) -> str:
    """The address that a person is given."""
    signed = base64.urlsafe_b64encode(signature).decode().rstrip("=")
    return f"{url}?{urlencode({'q': question_id, 'e': closes_at, 's': signed})}"


def claim(query: Mapping[str, str], now: float) -> Claim | None:
    """What a link says; None when it cannot be one of ours or its time is up. Nothing is asked of AWS for such."""
    asked, closes, signed = query.get("q", ""), query.get("e", ""), query.get("s", "")
    if not (_ID.fullmatch(asked) and _MOMENT.fullmatch(closes) and _SIGNATURE.fullmatch(signed)):
        return None
    if now >= int(closes):
        return None
    try:
        return Claim(asked, int(closes), base64.urlsafe_b64decode(signed + "="))
    except binascii.Error:
        return None


@dataclass(frozen=True, slots=True)
class Page:
    """What a browser is answered."""

    status: int
    title: str
    text: str
    buttons: bool = False

    def response(self) -> dict[str, object]:
        """As a function URL returns it. The form has no address, so that it goes to the very link."""
        form = (
            f'<form method="post"><button name="decision" value="{APPROVE}">Go on</button> '
            f'<button name="decision" value="{ABORT}">Stop and go back</button></form>'
        )
        body = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><title>Standfast</title></head>'
            f"<body><h1>{html.escape(self.title)}</h1><p>{html.escape(self.text)}</p>{form if self.buttons else ''}"
            "</body></html>"
        )
        return {"statusCode": self.status, "headers": HEADERS, "body": body}


NO_LINK = Page(403, "This link is not valid", "It was altered, it is too old, or there never was such a one.")
NOT_ALLOWED = Page(405, "Not allowed", "Open the link in a browser.")
TOO_LATE = Page(410, "Too late", "Nobody waits for this answer any more. Look at the execution.")
_WORDS = {APPROVE: "go on", ABORT: "stop and go back"}


def asking(question: Question) -> Page:
    """What a GET shows: the question, or that it was answered."""
    if question.decision and question.delivered:
        return used(question)
    return Page(200, "Standfast asks", question.text, buttons=True)


def used(question: Question) -> Page:
    """The link was used before."""
    return Page(
        410, "Answered already", f"The answer was: {_WORDS[str(question.decision)]}. It cannot be changed here."
    )


def taken(question: Question) -> Page:
    """The answer was taken and delivered."""
    return Page(200, "Thank you", f"The answer is: {_WORDS[str(question.decision)]}.")


def unclear(question: Question) -> Page:
    """A POST that names no decision."""
    return Page(400, "Standfast asks", question.text, buttons=True)
