"""A sync: one version for all Regions. Whose turn it is, what each Region is asked, and what they answered.

A Region is not written to from outside. It is asked to adopt a version, by an execution of its own `adopt_config`: its
own roles take the text and write, its own release validates, and its own schedule finds drift.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from standfast.config_versions import ConfigVersion, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_CHANGES = 40
"""Lines of a difference that an execution's output holds for each Region."""
DryRun = Annotated[bool, Field(validation_alias=AliasChoices("dry_run", "dryRun"))]
State = Literal["adopted", "unchanged", "would_adopt", "refused", "failed"]
GOOD: frozenset[State] = frozenset({"adopted", "unchanged", "would_adopt"})


class SyncInput(BaseModel):
    """The input of `sync_config`: a document (YAML text or JSON), or the number of an earlier version.

    `dry_run` (or `dryRun`) says what would change in each Region, and changes nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: dict[str, Any] | str | None = None
    version: int | None = Field(default=None, ge=1, description="an earlier version, to go back to")
    dry_run: DryRun = False
    reason: str = Field(min_length=1, max_length=500)
    by: str = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _one_of_two(self) -> SyncInput:
        if (self.config is None) == (self.version is None):
            raise ValueError("give either config, a document, or version, the number of an earlier one")
        return self


class PlanInput(BaseModel):
    """What PlanSync is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    execution_arn: str
    input: dict[str, Any]


class Wanted(BaseModel):
    """A version, for steps. `token`: of the sync."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: int = Field(ge=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    token: int = Field(ge=0)

    def as_version(self) -> ConfigVersion:
        """For decisions."""
        return ConfigVersion(self.version, self.sha256)


class AdoptInput(Wanted):
    """The input of `adopt_config`. `source`: the Region from whose bucket the text is taken, where it is not here yet.

    `text`: of the version itself, in a dry run of one that is in no bucket.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dry_run: DryRun = False
    text: str = ""
    source: str = Field(default="", pattern=r"^([a-z]{2}(-[a-z]+)+-\d)?$")
    by: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=1000)


class SyncPlan(Wanted):
    """What PlanSync answers and every later step reads."""

    dry_run: bool
    text: str
    regions: list[str]
    name: str
    by: str
    reason: str


class RegionStep(BaseModel):
    """What the steps of one Region are given; `execution_arn` is there once it was asked."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    region: str
    plan: SyncPlan
    execution_arn: str = ""


class RegionAnswer(BaseModel):
    """What became of one Region. `mind`: what a person should know besides. `adopted_at`: seconds since the epoch."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    region: str
    state: State
    reason: str
    version: int = 0
    sha256: str = ""
    changes: list[str] = []
    mind: str = ""
    adopted_at: float | None = None


class ConcludeInput(BaseModel):
    """What ConcludeSync is given."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    plan: SyncPlan
    results: list[RegionAnswer]


@dataclass(frozen=True, slots=True)
class Turn:
    """The last sync of the fleet. `version` and `sha256`: the highest version there is, which may be a later one's.

    `execution_arn`: who has the turn. The token grows by one with each sync, so that a late one is known everywhere.
    """

    token: int = 0
    version: int = 0
    sha256: str = ""
    execution_arn: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution of `adopt_config` stands: whether it ended, its output, or its error and cause."""

    ended: bool
    output: Mapping[str, Any] | None = None
    error: str = ""
    cause: str = ""


class TurnStore(Protocol):
    """Whose turn it is, the same for all Regions."""

    def read_turn(self) -> Turn:
        """The last turn; the first has token 0. Strongly consistent."""
        ...

    def take_turn(self, turn: Turn, *, seen: Turn) -> None:
        """Compare-and-set: raises ConflictError unless the last turn is still the one that was seen."""
        ...


class Adoptions(Protocol):
    """`adopt_config` in every Region of the fleet."""

    def ask(self, region: str, name: str, payload: Mapping[str, object]) -> str:
        """Start it there; the execution's ARN. May be repeated. Raises InvalidInputError where no stack is."""
        ...

    def progress(self, execution_arn: str) -> Outcome:
        """How it stands."""
        ...


def next_turn(
    last: Turn, execution_arn: str, text: str | None, *, newest: ConfigVersion | None = None, token_here: int = 0
) -> tuple[Turn, int]:
    """The turn of an execution, and the number of its version: 0 where it goes back to an earlier one (`text` None).

    A repeated step gets the turn that it had. A document that is the newest version already is no new one. `newest` and
    `token_here`: what this Region has, which is ahead of a shared table that was lost and made anew.
    """
    if last.execution_arn == execution_arn:
        return last, last.version if text is not None else 0
    if newest is not None and newest.version > last.version:
        last = replace(last, version=newest.version, sha256=newest.sha256)
    turn = replace(last, token=max(last.token, token_here) + 1, execution_arn=execution_arn)
    if text is None:
        return turn, 0
    if sha256(text) != last.sha256:
        turn = replace(turn, version=last.version + 1, sha256=sha256(text))
    return turn, turn.version


def execution_name(execution_arn: str, dry_run: bool) -> str:
    """Of the execution in each Region: the same for a repeated step."""
    return f"{'dry' if dry_run else 'sync'}-{sha256(execution_arn)[:24]}"


def answer_of(region: str, outcome: Outcome) -> RegionAnswer:
    """What an ended execution says of its Region."""
    if outcome.output is not None:
        return RegionAnswer.model_validate({**outcome.output, "region": region})
    if outcome.error == "ConfigRefused":
        return RegionAnswer(region=region, state="refused", reason=outcome.cause)
    reason = f"{outcome.error}: {said(outcome.cause)}" if outcome.cause else outcome.error
    return RegionAnswer(region=region, state="failed", reason=reason)


def said(cause: str) -> str:
    """The sentence in what Step Functions says of a function that raised."""
    try:
        found = json.loads(cause)
    except ValueError:
        return cause
    if not isinstance(found, dict):
        return cause
    inner = found.get("Cause")
    return said(str(inner)) if inner else str(found.get("errorMessage", cause))


def shortened(changes: Sequence[str]) -> list[str]:
    """A difference that fits the output."""
    left = len(changes) - MOST_CHANGES
    return list(changes) if left <= 0 else [*changes[:MOST_CHANGES], f"and {left} fields more"]


def in_words(plan: SyncPlan, results: Sequence[RegionAnswer]) -> str:
    """What became of a sync, Region by Region."""
    version = "the document" if plan.dry_run else f"configuration {plan.as_version()}"
    good = sum(each.state in GOOD for each in results)
    verb = "would be adopted" if plan.dry_run else "is in force"
    lines = [f"{version} {verb} in {good} of {len(plan.regions)} Regions. Asked by {plan.by}: {plan.reason}"]
    for each in sorted(results, key=lambda result: result.region):
        lines.append(f"{each.region}: {each.state.replace('_', ' ')} - {each.reason}")
        lines += [f"  {change}" for change in each.changes]
        if each.mind:
            lines.append(f"  Mind: {each.mind}")
    return "\n".join(lines)


def conclude(plan: SyncPlan, results: Sequence[RegionAnswer]) -> dict[str, Any]:
    """The execution's output: every Region by name. A Region that did not answer at all has failed."""
    known = {each.region: each for each in results}
    missing = [
        RegionAnswer(region=name, state="failed", reason="no answer") for name in plan.regions if name not in known
    ]
    every = [*results, *missing]
    return {
        "everywhere": all(each.state in GOOD for each in every),
        "version": plan.version,
        "sha256": plan.sha256,
        "dry_run": plan.dry_run,
        "regions": {each.region: each.model_dump(mode="json") for each in every},
        "text": in_words(plan, every),
    }
