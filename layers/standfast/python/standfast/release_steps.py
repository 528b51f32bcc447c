"""What `fleet_release` is given and what its steps hand to each other, as validated at their edges."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from standfast.fleet import Role, parse_input
from standfast.release_waves import Action, Candidate, Way
from standfast.steps import BreakGlass, Caught

if TYPE_CHECKING:
    from standfast.config_sync import Outcome

PLANNED_AS = {"rolling": Way.ROLLING, "surge": Way.SURGE, "blue/green": Way.BLUE_GREEN}
"""The planner's words for the ways that a release can go."""


class Named(BaseModel):
    """A cluster by its Region."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scope_id: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    cluster_id: str = Field(min_length=1, max_length=80)


class ReleaseInput(BaseModel):
    """The input of an execution. Unknown fields are refused: a typing error must not start something else.

    `model`: has to be FleetConfig's, where it is given. `event_id`: of the event that started it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(min_length=1, max_length=200, description="as it was registered")
    model: str | None = Field(default=None, min_length=1, max_length=200)
    way: Way | Literal["auto"] = Field(default=Way.ROLLING, description="auto: blue_green where it fits, else rolling")
    waves: list[Annotated[list[Named], Field(min_length=1)]] | None = Field(default=None, min_length=1, max_length=50)
    bake_seconds: int | None = Field(default=None, ge=0, le=86_400, description="in place of FleetConfig's")
    dry_run: Annotated[bool, Field(validation_alias=AliasChoices("dry_run", "dryRun"))] = False
    reason: str = Field(min_length=1, max_length=1500)
    by: str = Field(min_length=1, max_length=100)
    event_id: str = Field(default="", max_length=100)
    break_glass: BreakGlass | None = Field(default=None, description="overrides the switches, under your name")


class Ready(BaseModel):
    """What the rule makes of the event "Model Version Ready": its id, and its detail as somebody wrote it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_id: str = Field(min_length=1, max_length=100)
    ready: dict[str, Any]


def as_asked(given: dict[str, Any]) -> dict[str, Any]:
    """An execution's input, where an event started it with the event's id. Raises InvalidInputError."""
    if "ready" not in given:
        return given
    event = parse_input(Ready, given, "the event")
    return {**event.ready, "event_id": event.event_id}


class PlanRequest(BaseModel):
    """The execution's own name with its input as given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    execution_arn: str
    input: dict[str, Any]


class Asked(Named):
    """A cluster whose Region was asked what it holds of the version."""

    execution_arn: str


class ReleaseTarget(Named):
    """A cluster with the way that it goes, and the version that it served before."""

    way: Way
    before: str | None = None


class PlansAnswer(BaseModel):
    """What the Regions said. `text`: of all clusters, for people."""

    ready: bool
    waves: list[list[ReleaseTarget]] = []
    text: str = ""


class Course(BaseModel):
    """How far a release is. `wave` counts from 0; `executions`: of that wave, in the order of its clusters."""

    wave: int = 0
    executions: list[str] = []
    began_at: float = 0.0
    baked_since: float | None = None
    action: Action = Action.NEXT
    reason: str = ""
    seconds: int = 0


class ReleasePlan(BaseModel):
    """What PlanRelease found and every later step reads; what they answer stands beside it.

    `bake_seconds`: between two waves, the input's word, else FleetConfig's.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    execution_arn: str
    input: ReleaseInput
    asked: list[Asked]
    dry_run: bool
    bake_seconds: int
    plans: PlansAnswer = PlansAnswer(ready=False)
    token: int = 0
    course: Course = Course()
    error: Caught | None = None


def execution_name(release: str, what: str, target: Named) -> str:
    """Of the execution in a cluster's Region: the same for a repeated step."""
    digest = hashlib.sha256(f"{release}/{what}/{target.scope_id}/{target.cluster_id}".encode()).hexdigest()
    return f"{what}-{digest[:16]}-{re.sub('[^A-Za-z0-9-]', '-', target.cluster_id)[:40]}"


def payload(plan: ReleasePlan, target: ReleaseTarget) -> dict[str, object]:
    """The input of a cluster's rollout."""
    asked = plan.input
    found: dict[str, object] = {
        "scope_id": target.scope_id,
        "cluster_id": target.cluster_id,
        "version": asked.version,
        "reason": f"{asked.reason} (a release of the fleet by {asked.by})",
        "trigger": f"release {plan.execution_arn.rpartition(':')[2]}"[:80],
    }
    if target.way is Way.SURGE:
        found["surge"] = True
    if asked.break_glass is not None:
        found["break_glass"] = asked.break_glass.model_dump(mode="json")
    return found


def candidate(target: Named, outcome: Outcome, said: str) -> Candidate:
    """A cluster by what the dry run in its Region answered; `said`: the sentence of one that failed."""
    if outcome.output is None:
        return Candidate(target.scope_id, target.cluster_id, refused=f"{outcome.error}: {said}")
    options = outcome.output["options"]
    fitting = [PLANNED_AS[each["way"]] for each in options if each["way"] in PLANNED_AS and each["fits"]]
    why_not = "; ".join(f"{each['way']}: {each['reason']}" for each in options if not each["fits"])
    role, live = Role(outcome.output["role"]), outcome.output["live"]
    return Candidate(target.scope_id, target.cluster_id, role, live, tuple(fitting), why_not)
