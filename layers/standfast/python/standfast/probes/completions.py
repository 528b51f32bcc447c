"""A streamed completion, event by event: what OpenAI calls a legacy completion, in the forms that engines give it.

Logprobs come as lists beside each other, `{"tokens": [...], "token_logprobs": [...], "top_logprobs": [{...}]}` (vLLM,
SGLang, OpenAI), or as one object a token, `{"content": [{"token", "logprob", "top_logprobs": [...]}]}` (llama.cpp). TGI
gives none in completions (`router/src/server.rs`: `logprobs: None`). JSON has no NaN: engines write null. vLLM writes
-9999.0 for everything below it (`_create_completion_logprobs` in `vllm/entrypoints/openai/serving_completion.py`),
minus infinity too.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

IMPOSSIBLE = -9999.0
"""At or below it a logprob stands for a probability of zero, which no chosen token has."""
FEWEST_BETWEEN = 2
"""Tokens after the first event that a mean time between tokens needs."""


class BadAnswerError(Exception):
    """The stream is no completion. The message says what is wrong with it."""


class WrongModelError(Exception):
    """Another model answered. The message is its name."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token with its logprob, None when that is missing. `likely`: the likeliest in its place with theirs."""

    text: str
    logprob: float | None
    likely: tuple[tuple[str, float], ...] = ()

    @property
    def is_sane(self) -> bool:
        """Whether a healthy model may have chosen it."""
        return self.logprob is not None and math.isfinite(self.logprob) and self.logprob > IMPOSSIBLE


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the stream: its text, and its tokens where logprobs came with it."""

    text: str
    tokens: tuple[Token, ...] = ()


@dataclass(slots=True)
class Reading:
    """What was read of one completion so far. Times are seconds since the question."""

    events: int = 0
    first_at: float | None = None
    last_at: float = 0.0
    first: Token | None = None
    counts: list[int] = field(default_factory=list)
    insane: bool = False

    def add(self, event: Event, at: float) -> None:
        """Take one event. An event without text and tokens only says that the completion ended."""
        self.events += 1
        if self.first_at is None:
            self.first_at = at
        count = len(event.tokens) or bool(event.text)
        if not count:
            return
        self.last_at = at
        self.counts.append(count)
        if self.first is None:
            self.first = event.tokens[0] if event.tokens else Token(event.text, None)
        self.insane = self.insane or not event.tokens or not all(token.is_sane for token in event.tokens)

    @property
    def between_tokens_seconds(self) -> float | None:
        """The mean time between two tokens; None when too few came to say."""
        after = sum(self.counts[1:])
        if self.first_at is None or after < FEWEST_BETWEEN:
            return None
        return (self.last_at - self.first_at) / after


def read_event(data: str, model: str) -> Event:
    """One event's data. Raises BadAnswerError unless it is a completion's, WrongModelError for another model's."""
    try:
        event: Any = json.loads(data)
        choice = event["choices"][0]
        text = choice["text"]
        answered = event.get("model", model)
        tokens = _tokens(choice.get("logprobs"))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadAnswerError(f"an event that is no completion: {data[:80]!r}") from error
    if not isinstance(text, str):
        raise BadAnswerError("a completion without text")
    if answered != model:
        raise WrongModelError(str(answered)[:80])
    return Event(text, tokens)


def _tokens(logprobs: Any) -> tuple[Token, ...]:
    if logprobs is None:
        return ()
    if "content" in logprobs:
        return tuple(
            Token(str(each["token"]), _number(each.get("logprob")), _likely(_pairs(each.get("top_logprobs"))))
            for each in logprobs["content"] or ()
        )
    tokens = logprobs["tokens"]
    said = logprobs.get("top_logprobs") or ()
    likely = said if len(said) == len(tokens) else [None] * len(tokens)
    triples = zip(tokens, logprobs["token_logprobs"], likely, strict=True)
    return tuple(Token(str(text), _number(logprob), _likely((top or {}).items())) for text, logprob, top in triples)


def _pairs(listed: Any) -> list[tuple[Any, Any]]:
    return [(each["token"], each.get("logprob")) for each in listed or ()]


def _likely(pairs: Iterable[tuple[Any, Any]]) -> tuple[tuple[str, float], ...]:
    return tuple((str(text), number) for text, logprob in pairs if (number := _number(logprob)) is not None)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
