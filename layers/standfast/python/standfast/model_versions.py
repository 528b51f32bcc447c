"""Which model version each cluster serves, and each replica while its cluster's is being changed. Pure.

FleetConfig names one version for the fleet. A cluster that was given another one has a record in its scope's desired
state, fenced as weights and roles are: what is live there, and the update that is under way. The live version changes
only once every replica was verified (law 8); what an update touched is known by replica, so that whoever finds it
without a holder of the lease can put it back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standfast.fleet import Model
    from standfast.stores import View


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model by FleetConfig's `model.name` and `model.version`: None where versions are not told apart."""

    name: str
    version: str | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}" if self.version else self.name


class ReplicaPhase(StrEnum):
    """How far one replica is. One that nobody touched is in no phase."""

    OUT = "out"
    """It is taken out of traffic and changed: it may have either version, and no answer of it is judged."""
    BACK = "back"
    """It was verified on the new version, and has traffic again, or is about to."""
    LEFT = "left"
    """It could not be put back: it stays out of traffic, and a person is told."""


@dataclass(frozen=True, slots=True)
class ReplicaChange:
    """One replica that an update touched. `url`: its address, which no target group knows while it is out."""

    phase: ReplicaPhase
    url: str


class CanaryLoad(StrEnum):
    """How far a canary load is: an update of one replica, which goes back once it has served."""

    ASKED = "asked"
    SERVED = "served"


@dataclass(frozen=True, slots=True)
class ModelUpdate:
    """A change of a cluster's model version that is under way. Touched replicas are by replica id.

    `rollout_id` is the name of the execution that began it. `reverting`: why what was touched goes back to the live
    version; empty while the update goes forward. `attempts`: executions that were to put it back so far. `canary`: None
    where every replica is to be updated. `surge`: how many nodes the cluster's group wanted before one more was added
    for the time of the update; None where none was.
    """

    rollout_id: str
    to: ModelVersion
    started_at: float
    replicas: Mapping[str, ReplicaChange] = field(default_factory=dict)
    reverting: str = ""
    attempts: int = 0
    canary: CanaryLoad | None = None
    surge: int | None = None

    def with_replica(self, replica_id: str, phase: ReplicaPhase, url: str) -> ModelUpdate:
        """With one replica that far."""
        return replace(self, replicas={**self.replicas, replica_id: ReplicaChange(phase, url)})

    def without_replica(self, replica_id: str) -> ModelUpdate:
        """With one replica that is as it was before the update, or is gone."""
        return replace(self, replicas={name: each for name, each in self.replicas.items() if name != replica_id})

    def in_phase(self, phase: ReplicaPhase) -> list[str]:
        """The replicas that are that far, by name."""
        return sorted(name for name, each in self.replicas.items() if each.phase is phase)

    def reverted(self, reason: str) -> ModelUpdate:
        """From now on all that was touched goes back: it may have either version until it is verified.

        Said again, by another execution that is to do it: one attempt more.
        """
        if self.reverting:
            return replace(self, attempts=self.attempts + 1)
        replicas = {name: replace(each, phase=ReplicaPhase.OUT) for name, each in self.replicas.items()}
        return replace(self, reverting=reason, replicas=replicas, attempts=1)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What one cluster serves. `instead_of` is what FleetConfig said when `live` was written.

    Once FleetConfig says something else than that, it is the newer word of the two and holds.
    """

    live: ModelVersion
    instead_of: ModelVersion
    update: ModelUpdate | None = None

    @property
    def wanted(self) -> ModelVersion:
        """What a touched replica is to become: the new version, or on the way back the live one."""
        return self.live if self.update is None or self.update.reverting else self.update.to


@dataclass(frozen=True, slots=True)
class Expected:
    """What a replica should serve: FleetConfig's `model` with the name and version of this replica.

    `changing`: it may have either version at this moment, so that its version and its answers prove nothing.
    """

    model: Model
    changing: bool = False

    @property
    def version(self) -> ModelVersion:
        """By name and version, as golden answers are kept."""
        return ModelVersion(self.model.name, self.model.version)


def configured(model: Model) -> ModelVersion:
    """What FleetConfig names."""
    return ModelVersion(model.name, model.version)


def live(model: Model, served: ServedModel | None) -> ModelVersion:
    """The version that a cluster serves, or goes back to: its own where it has one, else FleetConfig's."""
    named = configured(model)
    if served is None or (served.update is None and served.instead_of != named):
        return named
    return served.live


def begun(
    model: Model,
    served: ServedModel | None,
    rollout_id: str,
    to: ModelVersion,
    now: float,
    canary: CanaryLoad | None = None,
) -> ServedModel:
    """A cluster's record with an update that has touched nothing yet; the same one where it is under way already."""
    if served is not None and served.update is not None and served.update.rollout_id == rollout_id:
        return served
    return ServedModel(live(model, served), configured(model), ModelUpdate(rollout_id, to, now, canary=canary))


def finished(model: Model, served: ServedModel) -> ServedModel | None:
    """The record after an update of which every replica is verified: the pointer flips. None where none is needed."""
    if served.update is None:
        return served
    return _without_update(model, served.live if served.update.reverting else served.update.to)


def pointed(model: Model, to: ModelVersion) -> ServedModel | None:
    """The record of a cluster whose whole traffic is served by `to`, proven. None where FleetConfig says the same."""
    return _without_update(model, to)


def _without_update(model: Model, to: ModelVersion) -> ServedModel | None:
    named = configured(model)
    return None if to == named else ServedModel(to, named)


def expected(model: Model, served: ServedModel | None, replica_id: str = "") -> Expected:
    """What a replica should serve; without `replica_id`, what its cluster answers as, seen through the entry."""
    standing = live(model, served)
    change = served.update.replicas.get(replica_id) if served is not None and served.update is not None else None
    if change is None or served is None or served.update is None:
        return Expected(_as(model, standing))
    if change.phase is ReplicaPhase.BACK:
        return Expected(_as(model, served.update.to))
    return Expected(_as(model, ModelVersion(standing.name)), changing=True)


def expected_in(view: View, cluster_id: str, replica_id: str = "") -> Expected:
    """The same, by all that is known of a scope."""
    return expected(view.applied.config.model, view.scope.desired.models.get(cluster_id), replica_id)


def says(said: str, version: str) -> bool:
    """Whether what an engine says of its model's version is this one.

    Engines say a name, a revision or the path that they were given (probes.states): of a path, a folder or a file
    called as the version is enough, for models lie in a folder a version (documents/update_model.yaml).
    """
    return said == version or version in said.split("/")


def _as(model: Model, served: ModelVersion) -> Model:
    return model.model_copy(update={"name": served.name, "version": served.version})
