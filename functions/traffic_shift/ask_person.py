"""AskPerson: keep Step Functions' token with a question, and send a person a link to answer it by."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, move_announcements, questions
from standfast.fleet import parse_input
from standfast.questions import Question
from standfast.shifting import AskStep


def handler(event: dict[str, Any], _context: object) -> None:
    """Nobody waits for this answer but for the person's. The link is in the notice, and in no log.

    A step that runs twice asks twice: the question is the same, and its last link's answer arrives.
    """
    step = parse_input(AskStep, event, "the AskPerson task")
    settings, now = bootstrap.settings(), bootstrap.clock().now()
    asked = questions.question_id(step.execution_arn, step.plan.stage.question)
    closes_at = int(now) + step.plan.pause_seconds
    signature = bootstrap.link_signer().sign(questions.message(asked, closes_at))
    text = move_announcements.question(step.plan)
    bootstrap.question_table().write_question(Question(asked, step.task_token, text, now, closes_at))
    url = questions.link(settings.answer_url, asked, closes_at, signature)
    notice = move_announcements.asking(step.plan, step.execution_arn, text, url, closes_at)
    bootstrap.messenger().notice(notice.subject, notice.text)
