"""AWS's own latencies, as named parameters, and a record of each that was injected.

On by default: no figure stands beside a real one without them.
"""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, fields
from typing import Final

ELB_CALL: Final = "elb_call"
ELB_PROPAGATION: Final = "elb_propagation"
DYNAMODB: Final = "dynamodb"
MRSC: Final = "mrsc"
STATE_TRANSITION: Final = "state_transition"
SSM_COMMAND: Final = "ssm_command"
INSTANCE_LAUNCH: Final = "instance_launch"
DISTANCE: Final = "distance"


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds. A change of a listener rule takes `elb_propagation` ± `elb_propagation_jitter` to reach all nodes.

    `ssm_command` ± `ssm_command_jitter`: from SendCommand until the script begins on a node.
    `instance_launch`: from the end of an instance until its successor is in service. On AWS it takes minutes.
    `mrsc`: a write to a global table with multi-Region strong consistency, or a strongly consistent read of it.
    `route53_status`: from a health check's change until the name servers answer by it; AWS names no figure.
    `route53_change`: from a change of records until all name servers have it; AWS says 60 s at most, as a rule.
    `distance`: times the round trips between Regions (`route53.distance`).
    """

    elb_call: float = 0.3
    elb_propagation: float = 2.0
    elb_propagation_jitter: float = 1.0
    dynamodb: float = 0.01
    mrsc: float = 0.1
    state_transition: float = 0.05
    ssm_command: float = 1.0
    ssm_command_jitter: float = 0.5
    instance_launch: float = 8.0
    route53_status: float = 2.0
    route53_change: float = 30.0
    distance: float = 1.0

    @classmethod
    def none(cls) -> Latencies:
        """No latency at all: for tests of behaviour, never for a figure."""
        return cls(**{each.name: 0.0 for each in fields(cls)})


@dataclass(frozen=True, slots=True)
class Injection:
    """One wait that AWS would have imposed in a Region. Times are `time.time()`.

    `caller` is the role whose call waited, or empty. `detail` is the API action, or `<execution>/<state>`.
    """

    kind: str
    caller: str
    detail: str
    started_at: float
    ended_at: float
    region: str = ""


class LatencyInjector:
    """Sleeps and remembers. Safe to use from several threads."""

    def __init__(self, latencies: Latencies, *, seed: int = 0) -> None:
        self.latencies = latencies
        # One for each kind, so that the draws of one do not depend on how often another draws.
        self._randoms: defaultdict[str, random.Random] = defaultdict(lambda: random.Random(seed))
        self._lock = threading.Lock()
        self._injections: list[Injection] = []

    def sleep(self, kind: str, *, caller: str, detail: str, region: str = "") -> None:
        """Wait as long as AWS would for this kind of thing, and record it."""
        seconds = self._drawn(kind)
        if seconds <= 0:
            return
        started_at = time.time()
        time.sleep(seconds)
        self._record(Injection(kind, caller, detail, started_at, time.time(), region))

    def travel(self, seconds: float, *, caller: str, detail: str, region: str = "") -> None:
        """Wait for the way to another Region and back, and record it."""
        seconds *= self.latencies.distance
        if seconds > 0:
            started_at = time.time()
            time.sleep(seconds)
            self._record(Injection(DISTANCE, caller, detail, started_at, time.time(), region))

    def propagation(self, region: str = "") -> float:
        """Draw one ELB propagation delay, in seconds, and record it as beginning now."""
        seconds = self._drawn(ELB_PROPAGATION)
        started_at = time.time()
        self._record(Injection(ELB_PROPAGATION, "", "", started_at, started_at + seconds, region))
        return seconds

    def _drawn(self, kind: str) -> float:
        """Uniform about the middle, for a kind that has a jitter."""
        middle = float(getattr(self.latencies, kind))
        jitter = float(getattr(self.latencies, f"{kind}_jitter", 0.0))
        if not jitter:
            return middle
        with self._lock:
            return max(0.0, middle + self._randoms[kind].uniform(-jitter, jitter))

    def injections(self) -> tuple[Injection, ...]:
        """All so far."""
        with self._lock:
            return tuple(self._injections)

    def clear(self) -> None:
        """Forget all so far."""
        with self._lock:
            self._injections.clear()

    def _record(self, injection: Injection) -> None:
        with self._lock:
            self._injections.append(injection)
