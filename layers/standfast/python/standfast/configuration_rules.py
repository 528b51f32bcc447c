"""How a Region keeps to its configuration: the part of FleetConfig that says what becomes of drift."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
"""Of FleetConfig. It grows when an older release would misread a document."""

Drift = Literal["tell", "repair"]


class ConfigurationRules(BaseModel):
    """What is done where a Region's configuration is not the version that was synced there. It is always told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    drift: Drift = Field(
        default="tell", description="`tell` leaves a hand edit alone, `repair` puts the synced version back"
    )
