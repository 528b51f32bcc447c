"""`rolling-update-surge`: as `rolling-update`, with one node more: at no time has a replica fewer traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.scenario import Report, Scenario
from sandbox.scenarios import rolling_update

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "rolling-update-surge"


def run(stage: Stage) -> Report:
    """An update, `runs` times, each with one node more meanwhile."""
    return rolling_update.update(NAME, stage, surge=True)


SCENARIO = Scenario(
    NAME,
    "another model version with one node more meanwhile: no replica fewer, and no request fails",
    run,
    slots=rolling_update.SLOTS,
)
