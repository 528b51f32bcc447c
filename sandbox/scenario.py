"""What a scenario is: a name, a title and a function that is given a running sandbox and answers a report.

Quick to import: no AWS in it. How to add one is said in `sandbox.scenarios`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.plan import SLOTS, SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.fleet.load import Load
    from sandbox.region import SandboxRegion
    from sandbox.world import Sandbox


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened, in seconds since the fault."""

    at: float
    event: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What the command prints and writes: the JSON is `document()`. `faults`: what did not come out as it must."""

    scenario: str
    region: str
    figures: Mapping[str, Any]
    timeline: Sequence[Moment] = ()
    faults: Sequence[str] = ()
    runs: int = 1

    @property
    def passed(self) -> bool:
        """Whether everything came out as it must."""
        return not self.faults

    def document(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "scenario": self.scenario,
            "region": self.region,
            "passed": self.passed,
            "runs": self.runs,
            "figures": dict(self.figures),
            "timeline": [asdict(moment) for moment in self.timeline],
            "faults": list(self.faults),
        }


@dataclass(frozen=True, slots=True)
class Stage:
    """What a scenario is given: a sandbox that is ready, under load in every Region, and what was asked for.

    `region_name` is the Region in which it happens; `runs` how often; `seed` fixes what is left to chance; `cold`: the
    failover's functions end before each fault; `say` tells a line of progress.
    """

    sandbox: Sandbox
    region_name: str
    say: Callable[[str], None]
    runs: int = 1
    seed: int = 0
    cold: bool = False

    @property
    def region(self) -> SandboxRegion:
        """The Region in which it happens."""
        return self.sandbox.regions[self.region_name]

    @property
    def load(self) -> Load:
        """That Region's clients. Raises SandboxError when nobody has started them."""
        if self.region.load is None:
            raise SandboxError(f"nobody asks {self.region_name}: start the load first")
        return self.region.load


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story. `run` may leave its Region broken: a sandbox serves one command.

    `baseline`: the same fault with Standfast off, where that is measured. `slots`: requests that each replica serves at
    once. `alone`: its Region is the fleet's only one, so that a small machine has room for more clusters.
    """

    name: str
    title: str
    run: Callable[[Stage], Report]
    baseline: Callable[[Stage], Report] | None = field(default=None)
    slots: int = SLOTS
    alone: bool = False
