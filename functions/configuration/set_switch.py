"""Set an automation switch, in all Regions at once: the fleet's, a Region's or a cluster's, with a reason."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from standfast import bootstrap, brake
from standfast.brake import Switch
from standfast.fleet import Automation, parse_input


class SwitchInput(BaseModel):
    """What to set it to, why, and who does. Without `region` and `cluster_id` it is the fleet's."""

    model_config = ConfigDict(extra="forbid")

    automation: Automation
    reason: str = Field(min_length=1, max_length=500)
    set_by: str = Field(min_length=1, max_length=100)
    region: str | None = None
    cluster_id: str | None = None


def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Answer what it was, what it is, and what holds. Everybody reads it at each start and before each change."""
    asked = parse_input(SwitchInput, event, "the input")
    scope = brake.FLEET
    if asked.region or asked.cluster_id:
        config = bootstrap.cluster_table().read_config().config
        scope = brake.scope_of(config, asked.region, asked.cluster_id)
    table = bootstrap.region_table()
    before = table.read_brake().at(scope)
    switch = Switch(asked.automation, asked.reason, asked.set_by, bootstrap.clock().now(), scope)
    table.write_switch(switch)
    was = str(before.automation) if before else "not set"
    subject = f"{bootstrap.settings().region}: the switch of {brake.in_words(scope)} is {asked.automation}"
    text = f"It went from {was} to {asked.automation}: {asked.reason} ({asked.set_by}). The strictest switch holds."
    bootstrap.messenger().notice(subject, text)
    return {"scope": scope, "before": was, "automation": str(asked.automation)}
