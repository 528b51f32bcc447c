"""What the machines of models are given and what their steps hand to each other, as validated at their edges.

Lists of objects never stand in a machine's state, which holds 256 KB: they lie in the bucket, under `work`.
"""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, Field, field_validator

from standfast.fleet import RegionName
from standfast.manifest import FOLDERS
from standfast.s3_steps import LeftToS3


class _Given(BaseModel):
    """Unknown fields are refused: a typing error must not start something else."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Kept(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


def message(cause: str) -> str:
    """The sentence in a cause: a function's error, perhaps within what States.JsonToString made of a caught one."""
    for _ in range(3):
        try:
            document = json.loads(cause)
        except ValueError:
            break
        if not isinstance(document, dict):
            break
        cause = str(document.get("errorMessage") or document.get("Cause") or document.get("Error") or cause)
    return cause


class ModelInput(_Given):
    """A model version, by FleetConfig's `model.name` and `model.version`."""

    model: str = Field(min_length=1, max_length=200)
    version: str | None = Field(default=None, min_length=1, max_length=200)


class RegisterInput(ModelInput):
    """The input of `register_model`."""

    prefix: str = Field(min_length=1, max_length=500, description="the folder in the model bucket, under models/")
    replicate: bool = Field(default=False, description="start replicate_model to every Region once it is registered")

    @field_validator("prefix")
    @classmethod
    def _is_a_folder_of_models(cls, prefix: str) -> str:
        folder = prefix.rstrip("/") + "/"
        if not folder.startswith(FOLDERS) or folder == FOLDERS:
            raise ValueError(f"is no folder under {FOLDERS}; write it as {FOLDERS}<name>/<version>/")
        return folder


class ReplicateInput(ModelInput):
    """The input of `replicate_model`."""

    regions: list[RegionName] | None = Field(default=None, min_length=1, description="default: all of FleetConfig's")
    source_region: RegionName | None = Field(default=None, description="where the model is copied from; default here")
    dry_run: bool = Field(
        default=False, alias="dryRun", description="only say what it would cost and how long it takes"
    )
    canary: bool = Field(default=False, description="in each Region load it on one replica of a standby, and ask that")
    trigger: str = Field(default="console", max_length=80)


class PullInput(ModelInput):
    """The input of `pull_model`."""

    source_region: RegionName
    canary: bool = Field(default=False, description="once it is verified, load it on one replica of a standby")
    trigger: str = Field(default="console", max_length=80)


class TaskInput(_Given):
    """The first step of a machine: the execution's own name, with its input as given."""

    execution_arn: str
    input: dict[str, object]

    @property
    def execution_name(self) -> str:
        """The last part of the ARN."""
        return self.execution_arn.rpartition(":")[2]


class BatchOf(_Kept):
    """Objects of the work list: from `first`, so many."""

    first: int
    count: int


class RegistrationPlan(_Kept):
    """What ListModel found. `work` is where the lists lie."""

    model: str
    version: str | None
    prefix: str
    format: str
    index: str
    work: str
    objects: int
    bytes: int
    batches: list[BatchOf]
    replicate: bool
    execution_name: str


class BatchError(_Kept):
    """What a Catch puts at `$.error` of a batch."""

    error: str = Field(alias="Error")
    cause: str = Field(default="", alias="Cause")

    def message(self) -> str:
        """The sentence in it."""
        return message(self.cause) or self.error


class BatchEnd(_Kept):
    """How a batch ended; `error` is there when it failed."""

    error: BatchError | None = None


class HashStep(_Given):
    """What HashObjects reads."""

    plan: RegistrationPlan
    batch: BatchOf


class RegistrationStep(_Kept):
    """What WriteManifest reads."""

    plan: RegistrationPlan
    hashed: list[BatchEnd] = Field(default=[])


class Registered(_Kept):
    """What WriteManifest answers."""

    model: str
    version: str | None
    manifest_sha256: str
    objects: int
    bytes: int
    golden: int


class RegisteredStep(RegistrationStep):
    """What StartReplication reads."""

    registered: Registered


class ReplicationPlan(_Kept):
    """What PlanReplication found. `wait_seconds` is the first pause between two looks at a copy."""

    model: str
    version: str | None
    source_region: str
    regions: list[str]
    dry_run: bool
    objects: int
    bytes: int
    estimates: list[dict[str, object]]
    prices: str
    trigger: str
    execution_name: str
    began_at: float
    canary: bool = False

    @property
    def name(self) -> str:
        """How people are told of it."""
        return f"{self.model} {self.version}" if self.version else self.model


class RegionStep(_Given):
    """What StartPull reads."""

    plan: ReplicationPlan
    region: str


class Started(_Kept):
    """What StartPull answers: the execution in the target Region, and how much lay there before."""

    execution_arn: str
    started_at: float
    bytes_before: int


class RegionStatus(_Kept):
    """How far a Region is: what an execution's output says of each. `eta_seconds` is None when it cannot be told.

    `damaged` is what was wrong there before, kind -> objects. `by_s3`: objects that S3's own rule brought, `s3_left`
    what it said of those that it did not, status -> objects, and `s3_reason` both in words; empty without a rule.
    `canary`: what became of the canary load, empty where none was asked for.
    """

    region: str
    state: str
    objects: int = 0
    objects_in_all: int = 0
    bytes: int = 0
    bytes_in_all: int = 0
    bytes_per_second: float = 0.0
    eta_seconds: float | None = None
    seconds: float = 0.0
    damaged: dict[str, int] = {}
    copied: int = 0
    by_s3: int = 0
    s3_left: dict[str, int] = {}
    s3_reason: str = ""
    aborted_uploads: int = 0
    api_calls: int = 0
    verified_at: float | None = None
    canary: str = ""
    reason: str = ""


class Look(_Kept):
    """What CheckPull answers."""

    ended: bool
    wait_seconds: int
    status: RegionStatus


class PulledStep(_Kept):
    """What CheckPull reads; `look` is there from the second on."""

    plan: ReplicationPlan
    region: str
    pull: Started
    look: Look | None = None


class PullPlan(_Kept):
    """What PlanPull found. `damaged` is what is wrong here by kind, `due` how many objects are to be copied."""

    model: str
    version: str | None
    source_region: str
    region: str
    trigger: str
    prefix: str = ""
    work: str
    objects: int
    bytes: int
    due: int
    due_bytes: int
    damaged: dict[str, int]
    batches: list[BatchOf]
    aborted_uploads: int
    api_calls: int
    began_at: float
    canary: bool = False
    s3: LeftToS3 = LeftToS3()


class WatchStep(_Given):
    """What WatchS3 reads."""

    plan: PullPlan


class CopyStep(_Given):
    """What CopyObjects reads. `attempt` is 0 the first time: afterwards what is there is looked at before."""

    plan: PullPlan
    batch: BatchOf
    attempt: int = 0


class Copied(BatchEnd):
    """What one batch came to."""

    copied: int = 0
    bytes: int = 0
    api_calls: int = 0


class VerifyStep(_Kept):
    """What VerifyModel reads. A batch that failed answers its error in place of figures."""

    plan: PullPlan
    copies: list[Copied]
