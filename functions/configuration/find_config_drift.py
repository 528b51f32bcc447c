"""Every minute: is this Region's configuration the version that was synced here? What a hand changed is told.

It is put back where `configuration.drift` says repair and the switch lets it, by this Region's own `adopt_config`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standfast import bootstrap, config_drift, config_sync, config_versions, telling
from standfast.config_drift import Action, Drift, Evidence, Where
from standfast.config_sync import AdoptInput
from standfast.errors import InvalidInputError
from standfast.fleet import FleetConfig

if TYPE_CHECKING:
    from standfast.config_adoption import Standing, Synced


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what was found and done. May be repeated: a drift is told once and repaired by one execution."""
    region, now = bootstrap.settings().region, bootstrap.clock().now()
    standing = bootstrap.config_table().standing()
    synced = standing.synced
    if synced is None:
        return {"action": str(Action.NONE), "reason": "no version was synced here yet", "found": []}
    kept = _kept(synced)
    meant = _meant(standing, synced, kept, region)
    evidence = Evidence(
        standing, bootstrap.config_pointer().read_pointer(), kept, meant.model_dump(mode="json") if meant else None
    )
    brake = bootstrap.region_table().glance_at_brake().why_not(region)
    drift = config_drift.decide(evidence, meant.configuration.drift if meant else "tell", brake, now)
    told, repaired_by = _tell(region, drift, evidence, now), ""  # first: nothing is put back that nobody was told of
    if drift.action is Action.REPAIR:
        repaired_by = _repair(region, drift, standing, now)
        outcome = bootstrap.adoptions().progress(repaired_by)  # of this one, or of the one a minute ago
        if outcome.ended and outcome.output is None:
            drift = config_drift.not_repaired(drift, config_sync.answer_of(region, outcome).reason)
            told = _tell(region, drift, evidence, now) or told
    found = [each.text for each in drift.findings]
    bootstrap.metrics().put({"ConfigVersion": synced.wanted.version, "ConfigDrift": min(1, len(found))}, now)
    return {"action": str(drift.action), "reason": drift.reason, "found": found, "told": told, "by": repaired_by}


def _kept(synced: Synced) -> str | None:
    try:
        return bootstrap.config_bucket().read_version(synced.wanted)
    except InvalidInputError:
        return None


def _meant(standing: Standing, synced: Synced, kept: str | None, region: str) -> FleetConfig | None:
    """What the synced version means here: as it is in force, or else by its text. None where neither is as it was."""
    try:
        if config_versions.sha256(standing.text) == synced.applied_sha256:
            return FleetConfig.parse(standing.document())
        if kept is not None and config_versions.sha256(kept) == synced.wanted.sha256:
            return config_versions.effective(config_versions.read_text(kept, synced.wanted), region)
    except InvalidInputError:
        pass  # this release does not accept it any more
    return None


def _repair(region: str, drift: Drift, standing: Standing, now: float) -> str:
    """The execution that puts the version back. The text first: the execution reads it."""
    if (synced := standing.synced) is None:
        return ""  # nothing to put back: never decided
    if drift.found(Where.OBJECT):
        bootstrap.config_bucket().restore_version(synced.wanted)
    payload = AdoptInput(
        version=synced.wanted.version,
        sha256=synced.wanted.sha256,
        token=synced.token,
        by=synced.by,
        reason="drift: " + "; ".join(each.text for each in drift.findings)[:900],
    )
    name = config_drift.repair_name(drift, standing, now)
    return bootstrap.adoptions().ask(region, name, payload.model_dump(mode="json"))


def _tell(region: str, drift: Drift, evidence: Evidence, now: float) -> bool:
    incidents, incident_id = bootstrap.cluster_table(), f"{region}-config-drift"
    if drift.is_told_by(incidents.outcome(incident_id, since=0.0)):
        return False
    return telling.tell(
        config_drift.announcement(region, drift, evidence),
        incident_id=incident_id,
        scope_id=region,
        failed_cluster_id="",
        incidents=incidents,
        messenger=bootstrap.messenger(),
        switches=bootstrap.region_table(),
        now=now,
    )
