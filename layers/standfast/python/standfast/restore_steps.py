"""What `restore` and its rehearsal are given and what their steps hand to each other, as validated at their edges."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from standfast.backup import Refused  # noqa: TC001 - pydantic reads it at run time
from standfast.steps import Caught, ProofAnswer

SHOWN = 60
"""How many lines of a list go through an execution's state, which holds 256 KB."""


class BackupInput(BaseModel):
    """The input of an execution of `backup`. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str = Field(default="the schedule", min_length=1, max_length=500)


class RestoreInput(BaseModel):
    """The input of an execution. Unknown fields are refused: a typing error must not restore something else.

    `moment` puts the state journal upon the newest snapshot before it; `accept_gaps`: although the journal says that
    it lacks something.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    by: str = Field(min_length=1, max_length=100)
    reason: str = Field(min_length=1, max_length=500)
    dry_run: bool = Field(default=False, alias="dryRun")
    snapshot_id: str | None = Field(default=None, pattern=r"^\d{4}/\d{2}/\d{2}/T\d{6}Z-\d{4,}$")
    moment: AwareDatetime | None = Field(default=None, description="with its time zone, as 2026-11-26T13:15:00Z")
    accept_gaps: bool = False


class PlanRestoreInput(BaseModel):
    """The execution's own name with its input as given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    execution_arn: str
    input: dict[str, object]

    @property
    def execution_name(self) -> str:
        """The last part of its ARN."""
        return self.execution_arn.rsplit(":", 1)[-1]


class RefusedBackup(BaseModel):
    """A backup.Refused as JSON."""

    snapshot_id: str
    reason: str

    @classmethod
    def of(cls, refused: Refused) -> RefusedBackup:
        """The same."""
        return cls(snapshot_id=refused.snapshot_id, reason=refused.reason)


class RestorePlan(BaseModel):
    """What PlanRestore found and every later step reads.

    What is put back lies in the bucket under `wanted_key`, with this SHA-256: so every step puts back the same.
    `data_loss_window_seconds`: from the last change that is in it to the moment that was asked for.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    region: str
    execution_arn: str
    execution_name: str
    by: str
    reason: str
    dry_run: bool
    snapshot_id: str
    came_from: str
    wanted_key: str
    wanted_sha256: str
    config_sha256: str
    serves: bool
    changes: list[str]
    more_changes: int
    gaps: list[str]
    refused: list[RefusedBackup]
    planned_at: float
    data_loss_window_seconds: float


class FreezeAnswer(BaseModel):
    """The fencing token, 0 where the Region only watches; `frozen`: the switch says off for this Region."""

    token: int
    frozen: bool
    at: float


class FrozenStep(RestorePlan):
    """What the steps after FreezeAutomation read."""

    freeze: FreezeAnswer


class ProvenStep(FrozenStep):
    """What RestoreTraffic reads."""

    proofs: list[ProofAnswer]


class TrafficAnswer(BaseModel):
    """A restoring.TrafficDecision as JSON, without the weights that it left alone."""

    action: str
    reason: str
    weights: dict[str, int]


class ServedAnswer(BaseModel):
    """When the entry answered, and after how many canaries; 0 where the Region only watches."""

    served_at: float
    canaries: int


class CommitStep(FrozenStep):
    """What CommitRestore reads."""

    traffic: TrafficAnswer
    smoke: ServedAnswer


class PutBackStep(RestorePlan):
    """What PutBack reads when a step failed."""

    error: Caught


class ArtefactAnswer(BaseModel):
    """What is wrong with the models' objects here, by model in words; empty where they are whole."""

    damages: dict[str, str]


class ModelsStep(FrozenStep):
    """What RestoreModels reads."""

    artefacts: ArtefactAnswer


Seconds = Annotated[float, Field(ge=0)]


class RehearsalInput(BaseModel):
    """The input of an execution of `restore_rehearsal`: nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RehearsalPlan(BaseModel):
    """What RestoreToScratch left for ProveScratch. Times in seconds since the epoch."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    snapshot_id: str
    refused: list[RefusedBackup]
    items: int
    sha256: str
    began_at: float
    data_loss_window_seconds: Seconds


class RehearsalStep(BaseModel):
    """What ConcludeRehearsal reads: the plan and the proof, or what was caught."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    scratch: RehearsalPlan | None = None
    proof: ScratchProof | None = None
    error: Caught | None = None


class ScratchProof(BaseModel):
    """What was proven of the scratch scope."""

    items: int
    models: int
    recovery_seconds: Seconds


class RehearsingStep(BaseModel):
    """What ProveScratch reads."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    scratch: RehearsalPlan
