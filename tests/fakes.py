"""Stand-ins for the ports, with the ports' own semantics: conditions, atomicity, errors."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from standfast.brake import FLEET, Brake, Switch
from standfast.config_adoption import Standing, Synced, pointer_text
from standfast.config_versions import ConfigVersion, sha256, version_of
from standfast.engine import EngineDescription, EngineState
from standfast.errors import ConflictError, CorruptStateError, FencedError, InvalidInputError, UnknownScopeError
from standfast.fleet import Canary, Entry, FleetConfig, ReplicaAddress
from standfast.health import Assessment, EndpointProbe, Outcome
from standfast.incidents import Incident
from standfast.lease import HolderState, Lease, released
from standfast.ports import Clock
from standfast.stores import AppliedConfig, HealthChange, ScopeRecord, Sight, Told, View
from standfast.traffic import Desired, Weights


class Faults:
    """Errors to be raised by name of a method: `fail("view", UnavailableError("down"), times=2)`."""

    def __init__(self) -> None:
        self._due: dict[str, list[Exception]] = defaultdict(list)
        self._down: dict[str, Exception] = {}

    def fail(self, method: str, error: Exception, *, times: int | None = None) -> None:
        """Raise in the next calls of a method: so many times, or until `mend`."""
        if times is None:
            self._down[method] = error
        else:
            self._due[method] += [error] * times

    def mend(self, method: str) -> None:
        """The method answers again."""
        self._down.pop(method, None)
        self._due.pop(method, None)

    def check(self, method: str) -> None:
        """Raise what is due."""
        if self._due[method]:
            raise self._due[method].pop(0)
        if method in self._down:
            raise self._down[method]


class FakeScopeStore:
    """One dictionary, one write at a time."""

    def __init__(self, *records: ScopeRecord) -> None:
        self.records = {record.scope_id: record for record in records}

    def read(self, scope_id: str) -> ScopeRecord:
        if scope_id not in self.records:
            raise UnknownScopeError(f"nothing is known of {scope_id}")
        return self.records[scope_id]

    def create(self, record: ScopeRecord) -> bool:
        if record.scope_id in self.records:
            return False
        self.records[record.scope_id] = record
        return True

    def grant(self, scope_id: str, *, seen: Lease, lease: Lease) -> None:
        record = self.read(scope_id)
        if (record.lease.token, record.lease.holder) != (seen.token, seen.holder):
            raise ConflictError("the lease changed hands")
        self.records[scope_id] = replace(record, lease=lease)

    def release(self, scope_id: str, *, token: int, attempts: int, not_before: float) -> None:
        record = self.read(scope_id)
        if record.lease.token != token:
            raise FencedError(f"token {token} is stale")
        self.records[scope_id] = replace(record, lease=released(record.lease), attempts=attempts, not_before=not_before)

    def write_desired(self, scope_id: str, *, token: int, seen_version: int, desired: Desired) -> None:
        record = self.read(scope_id)
        if record.lease.token != token or record.lease.holder is None:
            raise FencedError(f"token {token} is stale")
        if record.desired.version != seen_version:
            raise ConflictError(f"version {seen_version} was superseded")
        self.records[scope_id] = replace(record, desired=desired)


class FakeExecutions:
    """Executions that run until they are ended."""

    def __init__(self, *running: str) -> None:
        self.running = set(running)
        self.silent = False
        self.started: dict[str, Mapping[str, object]] = {}
        self.refused: list[str] = []
        self.faults = Faults()

    def holder_state(self, execution_arn: str) -> HolderState:
        if self.silent:
            return HolderState.UNKNOWN
        return HolderState.RUNNING if execution_arn in self.running else HolderState.ENDED

    def start_failover(self, name: str, payload: Mapping[str, object]) -> bool:
        self.faults.check("start_failover")
        if name in self.started:
            self.refused.append(name)
            return False
        self.started[name] = payload
        return True


class FakeLoadBalancer:
    """A rule that remembers every write."""

    def __init__(self, weights: Weights) -> None:
        self.weights = dict(weights)
        self.writes: list[Weights] = []
        self.tried = 0

    def read_weights(self, entry: Entry) -> Weights:
        return dict(self.weights)

    def write_weights(self, entry: Entry, weights: Weights) -> None:
        self.writes.append(dict(weights))
        self.weights = dict(weights)

    def check_writable(self, entry: Entry) -> None:
        self.tried += 1


class FakeClusterTable:
    """ConfigStore, EvidenceStore, WatchStore, HistoryStore and IncidentStore over one View.

    Scope writes go to a FakeScopeStore.
    """

    def __init__(self, known: View) -> None:
        self.known = known
        self.generation = known.relay
        self.incidents: dict[str, Told] = {}
        self.acknowledged: set[str] = set()
        self.history: dict[tuple[str, float], HealthChange] = {}
        self.written: list[Assessment] = []
        self.faults = Faults()

    def view(self) -> View:
        self.faults.check("view")
        return self.known

    def relay(self) -> int:
        self.faults.check("relay")
        return self.known.relay

    def enter(self) -> int:
        self.faults.check("enter")
        self.generation += 1
        return self.generation

    def take_over(self, generation: int) -> None:
        self.faults.check("take_over")
        self.known = replace(self.known, relay=max(self.known.relay, generation))

    def write_assessments(self, assessments: Sequence[Assessment]) -> None:
        self.faults.check("write_assessments")
        self.written += assessments
        last = dict(self.known.assessments)
        for assessment in assessments:
            before = last.get(assessment.cluster_id)
            if before is None or before.assessed_at < assessment.assessed_at:
                last[assessment.cluster_id] = assessment
        self.known = replace(self.known, assessments=last)

    def write_replicas(self, replicas: Mapping[str, Sequence[ReplicaAddress]], *, now: float) -> None:
        self.faults.check("write_replicas")
        self.known = replace(self.known, replicas=dict(replicas))

    def read_config(self) -> AppliedConfig:
        self.faults.check("read_config")
        return self.known.applied

    def write_config(self, config: FleetConfig, *, seen_version: int) -> AppliedConfig:
        self.faults.check("write_config")
        if self.known.applied.version != seen_version:
            raise ConflictError(f"the FleetConfig is no longer at version {seen_version}")
        self.known = replace(self.known, applied=AppliedConfig(seen_version + 1, config))
        return self.known.applied

    def write_change(self, change: HealthChange) -> None:
        self.faults.check("write_change")
        self.history[change.cluster_id, change.at] = change

    def changes(self, cluster_id: str, most: int) -> Sequence[HealthChange]:
        self.faults.check("changes")
        found = [change for (of, _), change in sorted(self.history.items(), reverse=True) if of == cluster_id]
        return found[:most]

    def outcome(self, incident_id: str, *, since: float) -> str | None:
        self.faults.check("outcome")
        told = self.incidents.get(incident_id)
        return told.outcome if told and (told.told_at >= since or incident_id in self.acknowledged) else None

    def record(self, told: Told) -> None:
        self.faults.check("record")
        self.incidents[told.incident_id] = told
        self.acknowledged.discard(told.incident_id)

    def acknowledge(self, incident_id: str, *, by: str, now: float) -> bool:
        self.faults.check("acknowledge")
        self.acknowledged.add(incident_id)
        return incident_id in self.incidents


class FakeIncidentLog:
    """IncidentLog in memory."""

    def __init__(self, *known: Incident) -> None:
        self.open = {incident.incident_id: incident for incident in known}
        self.closed: list[Incident] = []
        self.faults = Faults()

    def open_incidents(self) -> Sequence[Incident]:
        self.faults.check("open_incidents")
        return list(self.open.values())

    def closed_incidents(self, most: int) -> Sequence[Incident]:
        return self.closed[::-1][:most]

    def closed_since(self, moment: float) -> Sequence[Incident]:
        return [each for each in self.closed if each.closed_at is not None and each.closed_at >= moment]

    def write_incident(self, incident: Incident) -> None:
        self.faults.check("write_incident")
        stands = self.open.get(incident.incident_id)
        if (stands.version if stands else 0) != incident.version:
            raise ConflictError(f"incident {incident.incident_id} is no longer at version {incident.version}")
        written = replace(incident, version=incident.version + 1)
        if incident.closed_at is None:
            self.open[incident.incident_id] = written
        else:
            self.open.pop(incident.incident_id, None)
            self.closed.append(written)

    def amend_incident(self, incident: Incident) -> None:
        self.faults.check("amend_incident")
        kept = list(self.open.values()) if incident.closed_at is None else self.closed
        stands = [
            each for each in kept if each.incident_id == incident.incident_id and each.version == incident.version
        ]
        if not stands:
            raise ConflictError(f"incident {incident.incident_id} is no longer at version {incident.version}")
        written = replace(incident, version=incident.version + 1)
        if incident.closed_at is None:
            self.open[incident.incident_id] = written
        else:
            self.closed[self.closed.index(stands[0])] = written


class FakeRegionTable:
    """SwitchStore and SightStore in memory."""

    def __init__(self, switch: Switch) -> None:
        self.brake = Brake(switch)
        self.seen: dict[tuple[str, str], Sight] = {}
        self.written: list[Sight] = []
        self.faults = Faults()

    def read_brake(self) -> Brake:
        self.faults.check("read_brake")
        return self.brake

    def glance_at_brake(self) -> Brake:
        self.faults.check("glance_at_brake")
        return self.brake

    def write_switch(self, switch: Switch) -> None:
        self.faults.check("write_switch")
        if switch.scope == FLEET:
            self.brake = replace(self.brake, fleet=switch)
        else:
            self.brake = replace(self.brake, others={**self.brake.others, switch.scope: switch})

    def write_sight(self, sight: Sight) -> None:
        self.faults.check("write_sight")
        self.seen[sight.vantage, sight.region] = sight
        self.written.append(sight)

    def sights(self) -> Sequence[Sight]:
        self.faults.check("sights")
        return list(self.seen.values())


class FakeInventory:
    """Registered replicas, as a test sets them."""

    def __init__(self, registered: Mapping[str, Sequence[ReplicaAddress]]) -> None:
        self.registered = dict(registered)
        self.faults = Faults()

    def replicas(self, entry: Entry) -> Mapping[str, Sequence[ReplicaAddress]]:
        self.faults.check("replicas")
        return {cluster_id: self.registered.get(cluster_id, ()) for cluster_id in entry.target_groups}


class FakeMessenger:
    """Remembers what was told, in order."""

    def __init__(self) -> None:
        self.pages: list[tuple[str, str]] = []
        self.notices: list[tuple[str, str]] = []
        self.events: list[tuple[str, Mapping[str, object]]] = []
        self.faults = Faults()

    def page(self, subject: str, text: str) -> None:
        self.faults.check("page")
        self.pages.append((subject, text))

    def notice(self, subject: str, text: str) -> None:
        self.faults.check("notice")
        self.notices.append((subject, text))

    def event(self, detail_type: str, detail: Mapping[str, object]) -> None:
        self.faults.check("event")
        self.events.append((detail_type, detail))


class FakeMetrics:
    """Remembers every figure: (moment, cluster id or check or model or empty, metrics, resolution)."""

    def __init__(self) -> None:
        self.put_at: list[tuple[float, str, Mapping[str, float], int]] = []

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
        self.put_at.append((now, cluster_id or check or model, dict(metrics), resolution))

    def values(self, name: str, cluster_id: str = "") -> list[float]:
        """All values of one metric, in order."""
        return [metrics[name] for _, of, metrics, _ in self.put_at if of == cluster_id and name in metrics]


class FakeClock:
    """The running event loop's time (virtual in tests/virtual_time.py), counted from `origin`."""

    def __init__(self, origin: float) -> None:
        self.origin = origin

    def now(self) -> float:
        return self.origin + asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a server answers a canary: after `seconds`, with this outcome. The deadline cuts it short.

    `progress` is its counter of decoded work at a time (seconds since the epoch), None when it does not say.
    """

    outcome: Outcome = Outcome.ANSWERED
    seconds: float = 0.02
    detail: str = ""
    progress: Callable[[float], float | None] = lambda _now: None


ANSWERS = Behaviour()
REFUSES = Behaviour(Outcome.REFUSED, 0.001)
HANGS = Behaviour(seconds=float("inf"))
BAD_GATEWAY = Behaviour(Outcome.BAD_STATUS, 0.005, "502")


class FakeProber:
    """Servers by URL that answer as they behave now. A request under way notices when its server is changed."""

    def __init__(self, clock: Clock, default: Behaviour = ANSWERS) -> None:
        self._clock = clock
        self._default = default
        self._behaviours: dict[tuple[str, str], Behaviour] = {}
        self._queued: dict[str, int | None] = {}
        self._changed = asyncio.Event()
        self.asked: list[tuple[str, str]] = []
        self.progress_read: list[str] = []

    def set(self, url: str, behaviour: Behaviour, *, probe_header: str = "") -> None:
        """Change how a server behaves from now on. `probe_header` is that of a probe rule of the entry."""
        self._behaviours[url, probe_header] = behaviour
        self._changed.set()
        self._changed = asyncio.Event()

    def set_in_flight(self, url: str, count: int | None) -> None:
        """Change how many requests a server says that it holds."""
        self._queued[url] = count

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
        header = "".join((headers or {}).values())
        began = self._clock.now()
        self.asked.append((url, header))
        if progress:
            self.progress_read.append(url)
        counter = self._behaviour(url, header).progress(began) if progress else None
        behaviour, took = await self._answer(url, header, began, canary.deadline_seconds)
        first_token: float | None = None
        outcome, detail = behaviour.outcome, behaviour.detail
        if took >= canary.deadline_seconds:
            outcome, detail = Outcome.TIMED_OUT, f"{canary.deadline_seconds:g} s"
        elif outcome is Outcome.ANSWERED:
            first_token = took
            outcome = Outcome.SLOW if took > canary.first_token_seconds else Outcome.ANSWERED
        return EndpointProbe(began, self._clock.now(), outcome, detail, first_token, counter)

    async def in_flight(self, url: str) -> int | None:
        return self._queued.get(url, 0)

    async def describe(self, url: str) -> EngineDescription:
        return EngineDescription(EngineState.READY, ("tiny",))

    def _behaviour(self, url: str, header: str) -> Behaviour:
        return self._behaviours.get((url, header), self._default)

    async def _answer(self, url: str, header: str, began: float, deadline: float) -> tuple[Behaviour, float]:
        """Wait until the server, as it behaves by then, answers; or until the deadline."""
        behaviour, asked_anew = self._behaviour(url, header), began
        while True:
            due = min(asked_anew + behaviour.seconds, began + deadline)
            changed = self._changed
            try:
                async with asyncio.timeout(max(0.0, due - self._clock.now())):
                    await changed.wait()
            except TimeoutError:
                return behaviour, self._clock.now() - began
            now_behaves = self._behaviour(url, header)
            if now_behaves is not behaviour:
                behaviour, asked_anew = now_behaves, self._clock.now()


class FakeConfigTable:
    """SyncedStore over one item."""

    def __init__(self, found: Standing | None = None) -> None:
        self.found = found or Standing()

    def standing(self) -> Standing:
        return self.found

    def write_standing(self, config: FleetConfig, *, seen_revision: int, synced: Synced | None) -> Standing:
        if seen_revision != self.found.revision:
            raise ConflictError(f"no longer at revision {seen_revision}")
        self.found = Standing(seen_revision + 1, config.canonical(), config.digest(), synced)
        return self.found


class FakeConfigPointer:
    """A parameter. `on_write` happens after each write, as what somebody else does."""

    def __init__(self, value: str | None = None) -> None:
        self.value = value
        self.writes = 0
        self.on_write: Callable[[], object] = lambda: None

    def read_pointer(self) -> str | None:
        return self.value

    def write_pointer(self, version: ConfigVersion) -> None:
        self.value = pointer_text(version)
        self.writes += 1
        self.on_write()


class FakeConfigBucket:
    """`texts`: Region -> key -> text. `earlier`: what the objects of this Region were before. Here is us-east-1."""

    def __init__(self, texts: dict[str, dict[str, str]], region: str = "us-east-1") -> None:
        self.texts = texts
        self.earlier: list[str] = []
        self._region = region

    def put_version(self, version: ConfigVersion, text: str) -> bool:
        there = self.texts.setdefault(self._region, {})
        if version.key in there and sha256(there[version.key]) != version.sha256:
            raise CorruptStateError(f"{version.key} is another text")
        is_new = version.key not in there
        there.setdefault(version.key, text)
        return is_new

    def read_version(self, version: ConfigVersion, region: str | None = None) -> str:
        there = self.texts.get(region or self._region, {})
        if version.key not in there:
            raise InvalidInputError(f"the text of {version} is not there")
        return there[version.key]

    def versions(self, version: int) -> Sequence[ConfigVersion]:
        return [each for each in self.newest(1_000_000) if each.version == version]

    def newest(self, most: int) -> Sequence[ConfigVersion]:
        found = [version for key in self.texts.get(self._region, {}) if (version := version_of(key))]
        return sorted(found, key=lambda each: each.version, reverse=True)[:most]

    def restore_version(self, version: ConfigVersion) -> bool:
        good = [text for text in self.earlier if sha256(text) == version.sha256]
        if good:
            self.texts.setdefault(self._region, {})[version.key] = good[0]
        return bool(good)
