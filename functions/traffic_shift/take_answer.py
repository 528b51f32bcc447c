"""The page behind the link of a notice: a GET asks, a POST decides, once.

Public, because whoever reads the notice has no AWS credentials at hand: the signature is the right to answer.
"""

from __future__ import annotations

import base64
import logging
from typing import Any
from urllib.parse import parse_qs

from standfast import bootstrap, questions
from standfast.errors import StandfastError
from standfast.questions import Page, Question

logger = logging.getLogger("standfast.take_answer")
_FAILED = Page(503, "Not now", "The answer could not be taken. Try the link again in a moment.")


def handler(event: dict[str, Any], _context: object) -> dict[str, object]:
    """Answer a page. `event` is a request of a function URL (payload format 2.0)."""
    try:
        return _page(event).response()
    except StandfastError:
        logger.exception("an answer could not be taken")
        return _FAILED.response()


def _page(event: dict[str, Any]) -> Page:
    method = event["requestContext"]["http"]["method"]
    if method not in ("GET", "HEAD", "POST"):
        return questions.NOT_ALLOWED
    now = bootstrap.clock().now()
    claim = questions.claim(event.get("queryStringParameters") or {}, now)
    if claim is None or not bootstrap.link_signer().verify(claim.message, claim.signature):
        return questions.NO_LINK
    table = bootstrap.question_table()
    question = table.read_question(claim.question_id)
    if question is None:
        return questions.NO_LINK
    if method != "POST":
        return questions.asking(question)
    if question.decision is None:
        decision = _decision(event)
        if decision is None:
            return questions.unclear(question)
        table.write_decision(claim.question_id, decision, now=now)
        question = table.read_question(claim.question_id) or question  # perhaps somebody else was first
    elif question.delivered:
        return questions.used(question)
    return _deliver(question)


def _decision(event: dict[str, Any]) -> str | None:
    body = event.get("body") or ""
    text = base64.b64decode(body).decode("ascii", "replace") if event.get("isBase64Encoded") else body
    said = parse_qs(text).get("decision", [""])[0]
    return said if said in (questions.APPROVE, questions.ABORT) else None


def _deliver(question: Question) -> Page:
    """Hand the recorded decision to Step Functions; again, where a run before this one was cut off."""
    if question.decision is None:
        return questions.TOO_LATE
    answer = {"approved": question.decision == questions.APPROVE, "timed_out": False}
    if not bootstrap.callbacks().succeed(question.task_token, answer):
        return questions.TOO_LATE
    bootstrap.question_table().mark_delivered(question.question_id)
    logger.info("question %s was answered: %s", question.question_id, question.decision)
    return questions.taken(question)
