"""`bad-release-wrong-answers`: another model's weights under a version's name, which no user meets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.bad_releases import BadRelease, run_bad_release
from sandbox.scenario import Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "bad-release-wrong-answers"
BAD: Final = BadRelease(NAME, ("golden", "wrong", "answer"), swapped=True)


def run(stage: Stage) -> Report:
    """One deployment, which must be undone."""
    return run_bad_release(BAD, stage)


SCENARIO = Scenario(NAME, "another model's weights under a version's name: left before it has traffic", run)
