"""`bad-release-slow`: a version whose first token comes half a second later, which the objective allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.bad_releases import BadRelease, broken, run_bad_release
from sandbox.scenario import Report, Scenario

if TYPE_CHECKING:
    from sandbox.fleet.load import Record
    from sandbox.scenario import Stage

NAME: Final = "bad-release-slow"
DELAY_SECONDS: Final = 0.5
"""As long as `broken_engine` lets them wait."""


def _is_hurt(record: Record) -> bool:
    return record.failed or (record.first_token_at or 0.0) - record.sent_at >= DELAY_SECONDS


BAD: Final = BadRelease(NAME, ("first token",), sicken=broken("slow"), is_hurt=_is_hurt)


def run(stage: Stage) -> Report:
    """One deployment, which must be undone."""
    return run_bad_release(BAD, stage)


SCENARIO = Scenario(NAME, "a version that is slower than the one that serves: left in the first stage", run)
