"""Looking after a Region's configuration: what a hand changed is told, and put back where FleetConfig says so."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from standfast import config_drift, config_sync, config_versions, telling
from standfast.config_drift import Action, Drift, Evidence, Where
from standfast.config_sync import AdoptInput
from standfast.errors import InvalidInputError
from standfast.fleet import FleetConfig

if TYPE_CHECKING:
    from standfast.config_adoption import ConfigBucket, ConfigPointer, Standing, Synced, SyncedStore
    from standfast.config_sync import Adoptions
    from standfast.ports import Messenger
    from standfast.stores import IncidentStore, SwitchStore

REASON_CHARACTERS = 900


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found and did.

    `version` is the one that was synced, 0 before the first; `by` is the execution that puts it back, if any.
    """

    action: Action
    reason: str
    found: tuple[str, ...] = ()
    version: int = 0
    told: bool = False
    by: str = ""

    def answer(self) -> dict[str, Any]:
        """For the console."""
        return {**asdict(self), "action": str(self.action)}


@dataclass(frozen=True, slots=True)
class DriftKeeper:
    """One Region with its ports. `look` may be repeated: a drift is told once and repaired by one execution."""

    region: str
    store: SyncedStore
    pointer: ConfigPointer
    bucket: ConfigBucket
    adoptions: Adoptions
    switches: SwitchStore
    incidents: IncidentStore
    messenger: Messenger

    def look(self, now: float) -> Found:
        """Hold what is in force against what was synced, tell a difference, and put it back where that is wanted."""
        standing = self.store.standing()
        synced = standing.synced
        if synced is None:
            return Found(Action.NONE, "no version was synced here yet")
        kept = self._kept(synced)
        meant = _meant(standing, synced, kept, self.region)
        wanted = meant.model_dump(mode="json") if meant else None
        evidence = Evidence(standing, self.pointer.read_pointer(), kept, wanted)
        brake = self.switches.glance_at_brake().why_not(self.region)
        drift = config_drift.decide(evidence, meant.configuration.drift if meant else "tell", brake, now)
        told, by = self._tell(drift, evidence, now), ""  # first: nothing is put back that nobody was told of
        if drift.action is Action.REPAIR:
            by = self._repair(drift, standing, synced, now)
            outcome = self.adoptions.progress(by)  # of this one, or of the one a minute ago
            if outcome.ended and outcome.output is None:
                drift = config_drift.not_repaired(drift, config_sync.answer_of(self.region, outcome).reason)
                told = self._tell(drift, evidence, now) or told
        found = tuple(each.text for each in drift.findings)
        return Found(drift.action, drift.reason, found, synced.wanted.version, told, by)

    def _kept(self, synced: Synced) -> str | None:
        try:
            return self.bucket.read_version(synced.wanted)
        except InvalidInputError:
            return None

    def _repair(self, drift: Drift, standing: Standing, synced: Synced, now: float) -> str:
        """The execution that puts the version back. The text first: the execution reads it."""
        if drift.found(Where.OBJECT):
            self.bucket.restore_version(synced.wanted)
        payload = AdoptInput(
            version=synced.wanted.version,
            sha256=synced.wanted.sha256,
            token=synced.token,
            by=synced.by,
            reason="drift: " + "; ".join(each.text for each in drift.findings)[:REASON_CHARACTERS],
        )
        name = config_drift.repair_name(drift, standing, now)
        return self.adoptions.ask(self.region, name, payload.model_dump(mode="json"))

    def _tell(self, drift: Drift, evidence: Evidence, now: float) -> bool:
        incident_id = f"{self.region}-config-drift"
        if drift.is_told_by(self.incidents.outcome(incident_id, since=0.0)):
            return False
        return telling.tell(
            config_drift.announcement(self.region, drift, evidence),
            incident_id=incident_id,
            scope_id=self.region,
            failed_cluster_id="",
            incidents=self.incidents,
            messenger=self.messenger,
            switches=self.switches,
            now=now,
        )


def _meant(standing: Standing, synced: Synced, kept: str | None, region: str) -> FleetConfig | None:
    """What the synced version means here: as it is in force, or else by its text.

    None where neither is as it was, or where this release does not accept it any more.
    """
    try:
        if config_versions.sha256(standing.text) == synced.applied_sha256:
            return FleetConfig.parse(standing.document())
        if kept is not None and config_versions.sha256(kept) == synced.wanted.sha256:
            return config_versions.effective(config_versions.read_text(kept, synced.wanted), region)
    except InvalidInputError:
        return None
    return None
