"""Open-loop load: clients that stream completions and keep an exact record of every request. Its own process.

Arrivals do not wait for answers: each client is a Poisson process of its own, so a stalled service meets the whole
load, as a real one does. The seed fixes arrivals, prompts and lengths. Each request has a connection of its own; none
is tried twice but one that is *shed*, which means told by 503 with Retry-After to come back: it comes back.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Self

from sandbox.processes import Child

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONNECT_SECONDS: Final = 1.0
FIRST_TOKEN_SECONDS: Final = 3.0
BETWEEN_TOKENS_SECONDS: Final = 3.0
TOTAL_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Record:
    """One try of a request. Times are `time.time()`; `status` None: no answer came; `failure` None exactly when `ok`.

    `retry_after_seconds`: it was shed, and may come back so much later, under the same name. `low_priority`: it was.
    `region`: where its name led to, if it asked for one.

    Failures: "refused", "no connection in 1 s", "status 502" (or another), "no first token in 3 s", "no token for 3 s",
    "not done in 15 s", "cut" (the connection ended before `[DONE]`), "error in the stream", "no tokens",
    "not an HTTP answer", "no address" (nobody knows the name), "shed".
    """

    client: int
    request: str
    sent_at: float
    first_token_at: float | None
    ended_at: float
    ok: bool
    status: int | None
    tokens: int
    failure: str | None
    retry_after_seconds: float | None = None
    low_priority: bool = False
    region: str = ""

    @property
    def shed(self) -> bool:
        """Whether it was told to come back later: neither served nor failed."""
        return self.retry_after_seconds is not None

    @property
    def failed(self) -> bool:
        """Whether it was neither served nor shed."""
        return not self.ok and not self.shed


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send. `rate_per_second` is that of all clients together; `model` the name asked for, if any.

    `patience_seconds`: a request that is shed does not come back later than this after its first try. `prompt_words`
    and `answer_tokens` are how long prompts and answers are, from and to; a word is some five tokens. Of the requests
    `low_priority_share`, 0 to 1, carry the header `low_priority`, name and value.

    `names`: the URL of a name server. Then the service's host is a name, which each client asks for and believes for
    its TTL, as a user in this Region and continent; a connection takes the time of its way.
    """

    clients: int = 20
    rate_per_second: float = 20.0
    seed: int = 0
    model: str | None = None
    patience_seconds: float = 60.0
    prompt_words: tuple[int, int] = (3, 20)
    answer_tokens: tuple[int, int] = (8, 24)
    low_priority: tuple[str, str] | None = None
    low_priority_share: float = 0.0
    names: str | None = None
    region: str = ""
    continent: str = "NA"


class Load:
    """Parent's handle. Nothing is sent before `start`. `on_record` is called in a thread of the load's own."""

    def __init__(
        self, plan: Plan = Plan(), *, on_record: Callable[[Record], None] | None = None, log: Path | None = None
    ) -> None:
        self.plan = plan
        self._on_record = on_record
        self._log = log
        self._lock = threading.Lock()
        self._records: list[Record] = []
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the load, None before `start`."""
        return None if self._child is None else self._child.pid

    def start(self, url: str) -> Self:
        """Sends to `url` (such as `http://127.0.0.1:8080`) from now on."""
        if self._child is not None:
            raise RuntimeError("this load has been started: make another one")
        arguments = (url, json.dumps(asdict(self.plan)))
        self._child = Child.of_module("load", "sandbox.fleet.load", *arguments, log=self._log, on_line=self._take)
        self._child.wait_until_ready()
        return self

    def records(self, since: int = 0) -> tuple[Record, ...]:
        """The records so far, in the order in which the requests ended; without the first `since`."""
        with self._lock:
            return tuple(self._records[since:])

    def stop(self) -> tuple[Record, ...]:
        """Ends arrivals, waits for what is under way (15 s, and the patience of what was shed), gives all records."""
        if self._child is not None and self._child.alive:
            self._child.send("stop")
            self._child.wait(self.plan.patience_seconds + TOTAL_SECONDS + 5.0)
        self.close()
        return self.records()

    def close(self) -> None:
        """Ends the process at once. What is under way leaves no record. May be called again."""
        if self._child is not None:
            self._child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, line: str) -> None:
        record = Record(**json.loads(line))
        with self._lock:
            self._records.append(record)
        if self._on_record is not None:
            self._on_record(record)


if __name__ == "__main__":
    from sandbox.fleet.clients import main

    main(sys.argv[1:])
