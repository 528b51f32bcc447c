"""Every verdict that is written, as it is written: by the watch of its probes, and by the assessment of its checks.

The state table is read each second; the watch writes every five, or at once when a verdict changes, and an assessment
is made twice a minute.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from standfast.health import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandbox.region import SandboxRegion
    from standfast.stores import View

LOOK_SECONDS: Final = 1.0
WATCH: Final = "the watch"
ASSESSMENT: Final = "the assessment"


@dataclass(frozen=True, slots=True)
class Written:
    """One verdict of one cluster. `at`: when it was given; `until`: when the last of a spell was."""

    cluster_id: str
    source: str
    verdict: Verdict
    reason: str
    at: float
    until: float

    def __str__(self) -> str:
        lasted = f" for {self.until - self.at:.0f} s" if self.until > self.at else ""
        return f"{self.source} said {self.cluster_id} {self.verdict}{lasted}: {self.reason}"


def written_in(view: View) -> list[Written]:
    """What stands in the table at this moment."""
    watched = [
        Written(name, WATCH, found.verdict, found.reason, found.assessed_at, found.assessed_at)
        for name, found in view.assessments.items()
    ]
    return watched + [
        Written(name, ASSESSMENT, found.verdict, found.reason, found.checked_at, found.checked_at)
        for name, found in view.checks.items()
    ]


def spells(written: Iterable[Written]) -> list[Written]:
    """What is not healthy, each spell of equal verdicts once, with the reason with which it began."""
    found: list[Written] = []
    open_spells: dict[tuple[str, str], Written] = {}
    for each in sorted(written, key=lambda each: each.at):
        key = (each.cluster_id, each.source)
        before = open_spells.pop(key, None)
        if each.verdict is Verdict.HEALTHY:
            continue
        if before is not None and before.verdict is each.verdict:
            found[found.index(before)] = open_spells[key] = replace(before, until=each.at)
        else:
            found.append(each)
            open_spells[key] = each
    return found


class Verdicts:
    """Listens from `start` to `close` in a thread of its own."""

    def __init__(self, regions: Sequence[SandboxRegion]) -> None:
        self._regions = tuple(regions)
        self._written: dict[tuple[str, str, float], Written] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._listen, name="verdicts", daemon=True)

    def start(self) -> Self:
        """What stands in the tables already is not heard: it was said before."""
        self._known = {self._key(each) for region in self._regions for each in written_in(region.view())}
        self._thread.start()
        return self

    def heard(self, since: float = 0.0) -> list[Written]:
        """All that was written since, in its order. Raises what ended the listening."""
        if self._failure is not None:
            raise self._failure
        with self._lock:
            return sorted((each for each in self._written.values() if each.at >= since), key=lambda each: each.at)

    def close(self) -> None:
        """Listen no more. May be called again."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> None:
        try:
            while not self._ended.wait(LOOK_SECONDS):
                for region in self._regions:
                    self._take(written_in(region.view()))
        except Exception as error:  # noqa: BLE001 - raised again to whoever asks what was heard
            self._failure = error

    def _take(self, found: Iterable[Written]) -> None:
        with self._lock:
            for each in found:
                if (key := self._key(each)) not in self._known:
                    self._written[key] = each

    @staticmethod
    def _key(each: Written) -> tuple[str, str, float]:
        return each.cluster_id, each.source, each.at
