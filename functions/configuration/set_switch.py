"""Set the fleet's automation switch, in all Regions at once: run, observe or off, with a reason."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from standfast import bootstrap
from standfast.fleet import Automation, parse_input
from standfast.stores import Switch


class SwitchInput(BaseModel):
    """What to set it to, why, and who does."""

    model_config = ConfigDict(extra="forbid")

    automation: Automation
    reason: str = Field(min_length=1, max_length=500)
    set_by: str = Field(min_length=1, max_length=100)


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Answer what it was and what it is. Watch and failovers read it anew at every pass and at every start."""
    asked = parse_input(SwitchInput, event, "the input")
    table = bootstrap.region_table()
    before = table.read_switch()
    table.write_switch(Switch(asked.automation, asked.reason, asked.set_by, bootstrap.clock().now()))
    messenger = bootstrap.messenger()
    text = f"The switch went from {before.automation} to {asked.automation}: {asked.reason} ({asked.set_by})."
    messenger.notice(f"{bootstrap.settings().region}: the switch is {asked.automation}", text)
    return {"before": str(before.automation), "automation": str(asked.automation)}
