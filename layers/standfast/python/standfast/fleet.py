"""FleetConfig: everything that is watched, in one document, and the words for it.

YAML for people, canonical JSON for machines. Errors name the field and the mend.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from standfast import mends
from standfast.availability_rules import AvailabilityRules
from standfast.configuration_rules import SCHEMA_VERSION, ConfigurationRules
from standfast.errors import InvalidInputError, UnknownClusterError
from standfast.failover_rules import Failover
from standfast.health_rules import Detection, Objectives
from standfast.move_rules import Capacity, Moves
from standfast.recovery_rules import RecoveryRules
from standfast.region_rules import RegionRules
from standfast.rollout_rules import RolloutRules
from standfast.shedding_rules import Shedding

if TYPE_CHECKING:
    from collections.abc import Mapping


class Role(StrEnum):
    """What a cluster is there for at this moment. Roles change: identify a cluster by its id."""

    ACTIVE = "active"
    STANDBY = "standby"
    DRAINING = "draining"
    QUARANTINED = "quarantined"


class Automation(StrEnum):
    """The switch. *Observe*, where a new fleet starts, decides and tells and changes nothing."""

    RUN = "run"
    OBSERVE = "observe"
    OFF = "off"


SHED = "shed"
"""What stands in weights for a target group that answers 503 with Retry-After. No cluster is called so."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A Region's weighted rule. `target_groups` is cluster id -> target group ARN.

    `shed_target_group_arn` is the group that answers 503 with Retry-After, None where there is none.
    `low_priority_rule_arn` is the rule for requests of low priority, over the same groups, None where there is none.
    """

    listener_rule_arn: str
    target_groups: Mapping[str, str]
    shed_target_group_arn: str | None = None
    low_priority_rule_arn: str | None = None

    def weighted_groups(self) -> Mapping[str, str]:
        """Every group that the rule may hold: the clusters', and `shed`."""
        shed = {SHED: self.shed_target_group_arn} if self.shed_target_group_arn else {}
        return {**self.target_groups, **shed}


@dataclass(frozen=True, slots=True)
class ReplicaAddress:
    """One serving process: `replica_id` is `<instance id>:<port>`, `url` its private address."""

    replica_id: str
    cluster_id: str
    url: str


def _http_url(value: str) -> str:
    if not value.startswith(("http://", "https://")) or "//" not in value or value.endswith("//"):
        raise ValueError("is not a URL; write it as https://host or http://host:port")
    return value.rstrip("/")


HttpUrl = Annotated[str, AfterValidator(_http_url)]
RegionName = Annotated[str, Field(pattern=mends.REGION)]
Identifier = Annotated[str, Field(pattern=mends.IDENTIFIER)]
RuleArn = Annotated[str, Field(pattern=mends.RULE_ARN)]
TargetGroupArn = Annotated[str, Field(pattern=mends.TARGET_GROUP_ARN)]
SecretArn = Annotated[str, Field(pattern=mends.KEY_ARN)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Canary(_Document):
    """The question that every probe asks. Deadlines are in seconds."""

    prompt: str = Field(default="The capital of France is", min_length=1, max_length=400)
    max_tokens: int = Field(default=2, ge=1, le=16, description="tokens asked for")
    first_token_seconds: float = Field(default=1.0, gt=0, le=2, description="slower than this is degraded")
    deadline_seconds: float = Field(default=1.5, gt=0, le=2, description="no whole answer by then is a failed probe")
    # Kernels round otherwise in a batch of another size, those of quantized weights the more.
    logprob_tolerance: float = Field(default=0.5, gt=0, le=5, description="nats between a logprob and its golden one")

    @model_validator(mode="after")
    def _deadline_is_last(self) -> Canary:
        if self.deadline_seconds < self.first_token_seconds:
            raise ValueError("deadline_seconds is below first_token_seconds; raise it, a probe would always fail")
        return self


class Model(_Document):
    """What the clusters serve, but for those that were given another version (model_versions).

    `version` is what probes.states says that an engine says, or a folder of it; not compared where absent.
    """

    name: str = Field(min_length=1, max_length=200, description="as the engine lists it at /v1/models")
    engine: Literal["vllm", "sglang", "tgi", "llama.cpp", "openai"]
    version: str | None = Field(
        default=None, min_length=1, max_length=200, description="as the engine says it, or a folder of that"
    )
    api_key_secret_arn: SecretArn | None = Field(default=None, description="replicated to every Region of the fleet")
    canary: Canary = Canary()


class Cluster(_Document):
    """GPU nodes serving the model in one Region."""

    role: Literal["active", "standby"] = Field(description="the role to begin with; afterwards the state table knows")
    replicas: int = Field(ge=1, le=1000, description="serving processes expected")
    target_group_arn: TargetGroupArn
    capacity: Capacity | None = Field(default=None, description="of one replica; learned where it is not declared")
    gpus_per_node: int | None = Field(default=None, ge=1, le=16, description="GPUs that a node should have, if known")


class RegionEntry(_Document):
    """The Region's front door."""

    url: HttpUrl
    listener_rule_arn: RuleArn
    shed_target_group_arn: TargetGroupArn | None = Field(
        default=None, description="answers 503 with Retry-After; without it an overload is said and never shed"
    )
    low_priority_rule_arn: RuleArn | None = Field(
        default=None, description="the rule for low priority, whose weights then follow those of the other rule"
    )

    @model_validator(mode="after")
    def _low_priority_has_a_rule_of_its_own(self) -> RegionEntry:
        if self.low_priority_rule_arn == self.listener_rule_arn:
            raise ValueError("low_priority_rule_arn is the listener_rule_arn; name the rule above it")
        return self


class Region(_Document):
    """One Region's clusters behind one weighted rule: the scope of a lease."""

    entry: RegionEntry
    clusters: dict[Identifier, Cluster]

    @field_validator("clusters")
    @classmethod
    def _one_active_and_a_standby(cls, clusters: dict[str, Cluster]) -> dict[str, Cluster]:
        active = sorted(name for name, cluster in clusters.items() if cluster.role == "active")
        if len(active) != 1:
            found = f"{', '.join(active)} are" if active else "none is"
            raise ValueError(f"exactly one cluster must have `role: active`; {found}")
        if len(clusters) < 2:
            raise ValueError("there is no standby, so a failover has nowhere to go; add a cluster with `role: standby`")
        groups = [cluster.target_group_arn for cluster in clusters.values()]
        if len(set(groups)) < len(groups):
            raise ValueError("two clusters share a target_group_arn; give each cluster a target group of its own")
        if SHED in clusters:
            raise ValueError(f"`{SHED}` stands for what no cluster answers; give the cluster another name")
        return clusters

    @model_validator(mode="after")
    def _shedding_is_no_cluster(self) -> Region:
        if self.entry.shed_target_group_arn in self.bound_entry().target_groups.values():
            raise ValueError("entry.shed_target_group_arn is a cluster's; name the group that answers 503")
        return self

    def bound_entry(self) -> Entry:
        """The weighted rule with its target groups."""
        groups = {name: cluster.target_group_arn for name, cluster in sorted(self.clusters.items())}
        rule, low_priority = self.entry.listener_rule_arn, self.entry.low_priority_rule_arn
        return Entry(rule, groups, self.entry.shed_target_group_arn, low_priority)

    def cluster(self, cluster_id: str) -> Cluster:
        """The cluster, or UnknownClusterError with the ids that there are."""
        if cluster_id not in self.clusters:
            known = ", ".join(sorted(self.clusters))
            raise UnknownClusterError(f"cluster {cluster_id!r} is unknown; this Region has {known}")
        return self.clusters[cluster_id]


class FleetConfig(_Document):
    """Everything watched."""

    schema_version: int = Field(
        default=SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION, description="of this form; left out, the present one"
    )
    fleet: Identifier
    model: Model
    regions: dict[str, Region] = Field(min_length=1)
    watchers: list[RegionName] = Field(default=[], description="Regions without clusters that look at the others")
    detection: Detection = Detection()
    failover: Failover = Failover()
    moves: Moves = Moves()
    rollouts: RolloutRules = RolloutRules()
    shedding: Shedding = Shedding()
    objectives: Objectives = Objectives()
    availability: AvailabilityRules = AvailabilityRules()
    recovery: RecoveryRules = RecoveryRules()
    configuration: ConfigurationRules = ConfigurationRules()
    region_moves: RegionRules = RegionRules()

    @model_validator(mode="after")
    def _each_thing_is_in_one_place(self) -> FleetConfig:
        seen: dict[str, str] = {}
        for region_name, region in self.regions.items():
            for cluster_id in region.clusters:
                if cluster_id in seen:
                    raise ValueError(
                        f"regions.{region_name}.clusters: {cluster_id} is in {seen[cluster_id]} too; "
                        "give each cluster of the fleet an id of its own"
                    )
                seen[cluster_id] = region_name
            low_priority = region.entry.low_priority_rule_arn
            rules = [region.entry.listener_rule_arn, *([low_priority] if low_priority else [])]
            for arn in [*rules, *region.bound_entry().weighted_groups().values()]:
                if arn.split(":")[3] != region_name:
                    raise ValueError(
                        f"regions.{region_name} names {arn}, which is in another Region; copy the ARN of this Region"
                    )
        both = sorted(set(self.watchers) & set(self.regions))
        if both:
            raise ValueError(f"watchers: {', '.join(both)} has clusters, so it is no mere watcher; remove it here")
        return self

    @model_validator(mode="after")
    def _low_priority_can_be_shed(self) -> FleetConfig:
        if self.shedding.low_priority is None:
            return self
        for name, region in self.regions.items():
            for field in ("shed_target_group_arn", "low_priority_rule_arn"):
                if getattr(region.entry, field) is None:
                    raise ValueError(f"regions.{name}.entry.{field} is missing; shedding.low_priority needs it")
        return self

    @classmethod
    def parse(cls, document: object) -> FleetConfig:
        """Read a document (parsed YAML or JSON). Raises InvalidInputError: every wrong field with its mend."""
        if not isinstance(document, dict):
            raise InvalidInputError("the FleetConfig is not a mapping; begin it with `fleet: <name>`")
        newer = document.get("schema_version")
        if isinstance(newer, int) and newer > SCHEMA_VERSION:  # its other fields are a later release's to judge
            raise InvalidInputError(
                f"FleetConfig: schema_version is {newer}, and this release knows up to {SCHEMA_VERSION}; deploy the "
                "newer release of Standfast here first"
            )
        return parse_input(cls, document, "FleetConfig")

    def region(self, name: str) -> Region:
        """The Region, or InvalidInputError with the Regions that there are."""
        if name not in self.regions:
            raise InvalidInputError(
                f"Region {name!r} is not in the FleetConfig; it has {', '.join(sorted(self.regions))}"
            )
        return self.regions[name]

    def canonical(self) -> str:
        """Canonical JSON: sorted keys, no spaces, defaults written out. Equal configurations are equal texts."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, hexadecimal."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


ModelT = TypeVar("ModelT", bound=BaseModel)


def parse_input(model: type[ModelT], document: Mapping[str, Any], what: str) -> ModelT:
    """Validate a document. Raises InvalidInputError: one line a wrong field, with what to do."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InvalidInputError(f"{what}: {mends.in_words(error)}") from error
