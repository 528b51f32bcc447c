"""What an inference server answers, read as it passes: text, tokens and how it ended. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Heard:
    """What was heard since it was last taken. `finish`: why the answer ended, empty while it has not."""

    text: str = ""
    tokens: int = 0
    finish: str = ""


class EventReader:
    """Reads a stream of server-sent events in whatever pieces it comes.

    `plain`: whether the text is all that the answer is. With several choices or with tool calls it is not.
    """

    def __init__(self) -> None:
        self.heard = Heard()
        self.done = False
        self.plain = True
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self._take(line[5:].strip())

    def take(self) -> Heard:
        """What was heard since the last time."""
        heard, self.heard = self.heard, Heard()
        return heard

    def _take(self, data: bytes) -> None:
        if data == b"[DONE]":
            self.done = True
            return
        for choice in _choices(data):
            delta = choice.get("delta") or {}
            text = choice.get("text") if "text" in choice else delta.get("content")
            if choice.get("index", 0) != 0 or delta.get("tool_calls") or delta.get("function_call"):
                self.plain = False
            if isinstance(text, str) and text:
                self.heard.text += text
                self.heard.tokens += 1
            if choice.get("finish_reason"):
                self.heard.finish = str(choice["finish_reason"])


def finish_of(body: bytes) -> str:
    """Why an answer that came at once ended, by its own word."""
    return next((str(choice["finish_reason"]) for choice in _choices(body) if choice.get("finish_reason")), "stop")


def _choices(data: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(data)["choices"]
    except (ValueError, KeyError, TypeError):
        return []  # an error, or the usage at the end
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
