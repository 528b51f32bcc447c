"""`bad-release-errors`: a version that answers 5 % of its requests with an error.

The smoke test asks little here, so that it passes as it may: the judge has to find it under the first of the traffic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sandbox.bad_releases import BadRelease, broken, run_bad_release
from sandbox.scenario import Report, Scenario

if TYPE_CHECKING:
    from sandbox.scenario import Stage

NAME: Final = "bad-release-errors"
BAD: Final = BadRelease(NAME, ("failed requests",), sicken=broken("errors", 0.05), rollouts={"smoke_requests": 1})


def run(stage: Stage) -> Report:
    """One deployment, which must be undone."""
    return run_bad_release(BAD, stage)


SCENARIO = Scenario(NAME, "a version that answers 5 % of its requests with an error: left in the first stage", run)
