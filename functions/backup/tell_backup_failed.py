"""TellBackupFailed: no good snapshot came of this execution. Somebody is told; the next is taken in an hour."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from standfast import backup_announcements, bootstrap, telling
from standfast.fleet import parse_input
from standfast.steps import Caught


class FailedStep(BaseModel):
    """What was caught."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    error: Caught


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Answer what was told."""
    step = parse_input(FailedStep, event, "the TellBackupFailed task")
    region, now = bootstrap.settings().region, bootstrap.clock().now()
    announcement = backup_announcements.backup_failed(region, step.error)
    telling.send(announcement, region, bootstrap.messenger())
    bootstrap.metrics().put({"BackupVerified": 0.0}, now)
    return {"text": announcement.text}
