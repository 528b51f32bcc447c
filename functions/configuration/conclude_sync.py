"""ConcludeSync: what became of every Region, told once."""

from __future__ import annotations

from typing import Any

from standfast import bootstrap, config_sync
from standfast.config_sync import ConcludeInput
from standfast.fleet import parse_input


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer the execution's output, each Region by name. A dry run is told to nobody but who reads it."""
    given = parse_input(ConcludeInput, event, "the ConcludeSync task")
    concluded = config_sync.conclude(given.plan, given.results)
    if given.plan.dry_run:
        return concluded
    everywhere = concluded["everywhere"]
    version, region = given.plan.as_version(), bootstrap.settings().region
    subject = f"Configuration {version} is in force" if everywhere else f"Configuration {version} is not everywhere"
    messenger = bootstrap.messenger()
    messenger.notice(subject, concluded["text"])
    detail = {key: concluded[key] for key in ("version", "sha256", "regions", "text")}
    messenger.event("ConfigSynced" if everywhere else "ConfigSyncFailed", {**detail, "asked_in": region})
    return concluded
