"""What a gateway is told about the journal."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass, field

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"


class UnavailableError(Exception):
    """The journal did not take it in time. The message says what was not written."""


def _name() -> str:
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Settings:
    """`table` and `scope` (the Region's name) are those of Standfast's stack; the rest has good defaults. Seconds.

    `serve_without`: whether a request is served that could not be journalled (its answer says so), or refused by 503.
    `accept_seconds`: the longest that a request waits for the journal; one that waited in vain spares the others the
    wait for `pause_seconds`. `linger_seconds`: how long a write waits for others to go with it. `piece_seconds`: how
    often progress is written. `alive_seconds`: without a sign of life for so long, a gateway's requests are others'.
    `keep_seconds`: after it a request and its answer are forgotten. `name`: of this process, never used again.
    """

    table: str
    scope: str
    serve_without: bool = True
    accept_seconds: float = 0.25
    pause_seconds: float = 5.0
    linger_seconds: float = 0.005
    piece_seconds: float = 1.0
    beat_seconds: float = 2.0
    alive_seconds: float = 8.0
    keep_seconds: float = 3600.0
    body_bytes: int = 1_048_576
    paths: tuple[str, ...] = (COMPLETIONS, CHAT)
    name: str = field(default_factory=_name)

    def __post_init__(self) -> None:
        if not self.table or not self.scope:
            raise ValueError("table and scope are needed: the outputs of Standfast's stack name them")
        if self.alive_seconds < 3 * self.beat_seconds:
            raise ValueError("alive_seconds must be three beat_seconds at least: one late beat is no death")
