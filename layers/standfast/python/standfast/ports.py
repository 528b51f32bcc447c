"""What Standfast needs from the world. `aws` and `probes` hold the adapters, tests/fakes.py stand-ins.

Every call may raise the TransientErrors (ThrottledError, UnavailableError) and AccessDeniedError; a docstring names
what else it raises, what is atomic and what may be repeated. Times are seconds since the epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from standfast.checks import Traffic
    from standfast.engine import EngineDescription
    from standfast.fleet import Canary, Entry, ReplicaAddress
    from standfast.health import EndpointProbe
    from standfast.lease import HolderState
    from standfast.targets import Targets
    from standfast.traffic import Weights


class LoadBalancer(Protocol):
    """The weighted rules of a Region's entry. ELB has no conditional writes: see traffic.apply_desired."""

    def read_weights(self, entry: Entry) -> Weights:
        """Cluster id, or `shed`, -> weight; a target group that the entry does not name appears under its ARN.

        Those of a rule for low priority stand behind `rule_weights.LOW_PRIORITY`.
        """
        ...

    def write_weights(self, entry: Entry, weights: Weights) -> None:
        """Replace all weights of the rule, at once; then those of the rule for low priority, at once. May be repeated.

        `weights` as rule_weights.on_rules gives them.
        """
        ...

    def check_writable(self, entry: Entry) -> None:
        """A dry call: whether the weights of each rule could be written. Changes nothing, whoever writes meanwhile.

        Raises what the write would raise; AccessDeniedError names the permission and the rule.
        """
        ...


class TrafficMetrics(Protocol):
    """What the load balancer counted."""

    def counted(self, entry: Entry, now: float, seconds: float) -> Mapping[str, Traffic]:
        """Cluster id -> requests and failures over the last `seconds`, in whole minutes that are over."""
        ...


class TargetHealth(Protocol):
    """What the load balancer itself thinks of its targets at this moment: its metrics are a minute old."""

    def targets(self, entry: Entry, cluster_ids: Sequence[str]) -> Mapping[str, Targets]:
        """Cluster id -> how many of its targets are healthy, and which get no requests."""
        ...


class Inventory(Protocol):
    """Which replicas are registered."""

    def replicas(self, entry: Entry) -> Mapping[str, Sequence[ReplicaAddress]]:
        """Cluster id -> the addresses of the targets in its target group, healthy or not."""
        ...


class Maintenance(Protocol):
    """What AWS will do to instances."""

    def instances_of(self, reservation_id: str) -> Sequence[str]:
        """The instances that run in a Capacity Reservation or Capacity Block."""
        ...

    def scheduled(self, instance_ids: Collection[str]) -> Mapping[str, float]:
        """Instance id -> when AWS takes it at the earliest, of those that it will take."""
        ...


class Executions(Protocol):
    """Step Functions, as far as leases and triggers need it."""

    def holder_state(self, execution_arn: str) -> HolderState:
        """Whether an execution runs. Unknown when Step Functions cannot say."""
        ...

    def start_failover(self, name: str, payload: Mapping[str, object]) -> bool:
        """Start `cluster_failover`. False when an execution of that name exists already, running or ended."""
        ...


class Callbacks(Protocol):
    """Tasks of Step Functions that wait for an answer."""

    def succeed(self, task_token: str, output: Mapping[str, object]) -> bool:
        """Answer the task that has this token. False when nobody waits for it any more."""
        ...


class Signer(Protocol):
    """A secret key that signs and verifies."""

    def sign(self, message: bytes) -> bytes:
        """The signature, 32 bytes."""
        ...

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether it is this key's signature of this message."""
        ...


class Messenger(Protocol):
    """People and other systems. At least once: a repeated call repeats the message."""

    def page(self, subject: str, text: str) -> None:
        """Wake somebody. `subject` is at most 100 characters of ASCII."""
        ...

    def notice(self, subject: str, text: str) -> None:
        """Tell somebody by day."""
        ...

    def event(self, detail_type: str, detail: Mapping[str, object]) -> None:
        """Put an event on the standfast bus."""
        ...


class Prober(Protocol):
    """Questions to inference servers. Asynchronous, and never raises: what goes wrong is the probe's outcome."""

    async def ask(
        self,
        url: str,
        model: str,
        canary: Canary,
        *,
        headers: Mapping[str, str] | None = None,
        progress: bool = False,
        logprobs: bool = False,
        nonce: str | None = None,
    ) -> EndpointProbe:
        """One canary. `progress` reads the engine's progress counter beside it.

        `logprobs` demands a finite logprob of every token, where the engine is known to say them. A `nonce` before the
        prompt makes the question the same each time, and demands logprobs of any engine; without one it is random.
        """
        ...

    async def describe(self, url: str) -> EngineDescription:
        """What the engine says of itself: its state, the model and version that it loaded, its metrics."""
        ...

    async def in_flight(self, url: str) -> int | None:
        """Requests that the engine is at work on or has queued; None when it does not say."""
        ...


class Secrets(Protocol):
    """Secrets Manager, as far as the engines' API key needs it."""

    def read(self, arn: str) -> str:
        """The secret's present text, perhaps five minutes old. Raises InvalidInputError when it is no key."""
        ...


class Metrics(Protocol):
    """Figures for CloudWatch, by fleet and Region, or by cluster, check or model too. Never raises.

    A figure may be lost.
    """

    def put(
        self,
        metrics: Mapping[str, float],
        now: float,
        *,
        cluster_id: str = "",
        check: str = "",
        model: str = "",
        resolution: int = 60,
    ) -> None:
        """Give the metrics, name -> value, of this moment. `resolution` is 1 or 60 s."""
        ...


class Clock(Protocol):
    """The time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait, and let others run."""
        ...
