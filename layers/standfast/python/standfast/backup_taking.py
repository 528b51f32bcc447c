"""Taking a snapshot and reading it back, over the ports. The rules are those of `backup`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from standfast import backup, manifest, restoring
from standfast.backup import Manifest
from standfast.errors import BackupRefusedError, ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from standfast.backup import Found, Opened
    from standfast.backup_ports import BackupStore, Items, StateTables
    from standfast.config_adoption import ConfigBucket
    from standfast.model_ports import ModelStore
    from standfast.model_states import ModelRecord
    from standfast.ports import Clock, LoadBalancer
    from standfast.restoring import Wanted
    from standfast.stores import View

READINGS: Final = 4
"""How often the tables are read anew while what decides changes under the reading."""


@dataclass(frozen=True, slots=True)
class Backups:
    """The snapshots of one Region, in its own bucket."""

    fleet: str
    region: str
    store: BackupStore

    def names(self, now: float) -> Iterator[str]:
        """The ids of all that are kept, finished or not, the newest first."""
        for day in range(backup.KEPT_DAYS + 2):
            at = now + backup.SKEW_SECONDS - day * backup.DAY_SECONDS
            yield from self.store.snapshots(self.region, backup.day_of(at))

    def open(self, name: str, now: float) -> Opened:
        """One that was named. Raises BackupRefusedError."""
        return backup.open_snapshot(name, self.store.read, fleet=self.fleet, region=self.region, now=now)

    def newest_good(self, now: float, before: float) -> Found:
        """The newest good one whose cut was complete by then, and what was refused on the way."""
        early = (name for name in self.names(now) if (backup.moment_of(name) or 0.0) <= before)

        def opened(name: str) -> Opened:
            found = self.open(name, now)
            if found.manifest.ended_at > before:
                raise BackupRefusedError(f"{name} was complete at {found.manifest.ended_at:.0f}, after the moment")
            return found

        return backup.newest_good(early, opened)

    def require(self, now: float, before: float) -> tuple[Opened, Found]:
        """The newest good one with what was refused. Raises BackupRefusedError where none is good."""
        found = self.newest_good(now, before)
        if found.opened is None:
            said = "; ".join(each.reason for each in found.refused[:10]) or "there is none"
            raise BackupRefusedError(f"no backup of {self.region} is good: {said}")
        return found.opened, found


@dataclass(frozen=True, slots=True)
class Taker:
    """Takes snapshots. `in_flight` are the requests in flight by id, None where nobody could say."""

    backups: Backups
    tables: StateTables
    texts: ConfigBucket
    models: ModelStore
    balancer: LoadBalancer
    view: Callable[[], View]
    in_flight: Mapping[str, Any] | None
    clock: Clock

    def take(self) -> Manifest:
        """Write one: parts first, the manifest last. A repeated call writes another.

        Raises ConflictError where the tables do not hold still, or another writes this very snapshot;
        BackupRefusedError where what is in the tables would be refused by a restore.
        """
        items, began_at, ended_at = self._cut()
        region = self.backups.region
        goal = restoring.wanted(region, "what is in the tables now", self.tables.understood(items))
        taken = len(self.backups.store.snapshots(region, backup.day_of(began_at)))
        name = backup.snapshot_id(began_at, taken + 1)
        sealed = [backup.sealed_part(part, content) for part, content in self._contents(items, goal).items()]
        for part, body in sealed:
            self._write(backup.part_key(region, name, part.name), body)
        made = Manifest(self.backups.fleet, region, name, began_at, ended_at, tuple(part for part, _ in sealed))
        self._write(backup.manifest_key(region, name), made.seal())
        return made

    def _cut(self) -> tuple[Items, float, float]:
        """All items. Those that decide are read before, with all others, and after: as they were at one moment."""
        before = self.tables.read_decisive()
        changed: list[str] = []
        for _ in range(READINGS):
            began_at = self.clock.now()
            items = self.tables.scan()
            ended_at = self.clock.now()
            after, within = self.tables.read_decisive(), self.tables.decisive(items)
            names = {*before, *within, *after}
            changed = sorted(str(key) for key in names if not before.get(key) == within.get(key) == after.get(key))
            if not changed:
                return items, began_at, ended_at
            before = after
        raise ConflictError(f"the tables did not hold still for one reading: {', '.join(changed)}")

    def _contents(self, items: Items, goal: Wanted) -> dict[str, Mapping[str, Any]]:
        now, region = self.clock.now(), self.backups.region
        synced = goal.standing.synced
        texts = {synced.wanted.key: self.texts.read_version(synced.wanted)} if synced else {}
        desired = goal.scope.desired if goal.scope else None
        traffic: dict[str, Any] = {"wanted": None, "found": None}
        metrics: dict[str, Any] = {"at": now}
        if goal.serves and desired is not None:
            entry = goal.config.region(region).bound_entry()
            traffic = {
                "wanted": {
                    "version": desired.version,
                    "weights": dict(desired.weights),
                    "roles": {name: str(role) for name, role in desired.roles.items()},
                    "reason": desired.reason,
                },
                "found": dict(self.balancer.read_weights(entry)),
            }
            seen = self.view()
            metrics |= {
                "assessments": {name: asdict(each) for name, each in seen.assessments.items()},
                "checks": {name: asdict(each) for name, each in seen.checks.items()},
                "loads": {name: asdict(each) for name, each in seen.loads.items()},
            }
        return {
            "state": backup.state_content(items),
            "models": {"manifests": self._manifests(goal.models)},
            "configuration": {"texts": texts},
            "traffic": traffic,
            "requests": {"in_flight": self.in_flight},
            "metrics": json.loads(json.dumps(metrics, default=str)),
        }

    def _manifests(self, records: tuple[ModelRecord, ...]) -> dict[str, str]:
        """Key -> text of the manifests that are here: of a model that is still copied there may be none yet."""
        keys = [manifest.manifest_key(each.model, each.version) for each in records]
        found = {key: self.models.read(key) for key in keys}
        return {key: body.decode() for key, body in found.items() if body is not None}

    def _write(self, key: str, body: bytes) -> None:
        if not self.backups.store.write_once(key, body):
            raise ConflictError(f"{key} is there already: another backup began in this very second")
