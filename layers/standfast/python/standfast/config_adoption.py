"""What a Region does with a version of the configuration: adopt it, leave things as they are, or refuse, and why.

A Region's table holds, in one item, the configuration that is in force and the version that was last synced: one
compare-and-set covers both. What `apply_config` writes by hand keeps the version beside it, so that the two differ
and the difference is drift. Every sync has a token, one above that of the sync before: a late one changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from standfast import config_versions, configuration, model_states
from standfast.config_versions import ConfigVersion, difference
from standfast.errors import ConflictError, InvalidInputError
from standfast.model_states import ModelState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.fleet import FleetConfig
    from standfast.model_states import ModelRecord
    from standfast.traffic import Desired

AGREE_ROUNDS: Final = 4
"""How often the parameter is written anew while the table changes under it."""


@dataclass(frozen=True, slots=True)
class Synced:
    """The version that a Region was last synced to. `applied_sha256`: of what that version means there, as text.

    `token` is the sync's; `by` says who or what asked for it; `at` is in seconds since the epoch.
    """

    wanted: ConfigVersion
    token: int
    applied_sha256: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What a Region's table holds. `revision` counts writes, 0 where there is nothing.

    `text` is as it is written there; `sha256` stands beside it, and a hand edit may have left it as it was.
    """

    revision: int = 0
    text: str = ""
    sha256: str = ""
    synced: Synced | None = None

    def document(self) -> dict[str, Any] | None:
        """What is in force, None where that is nothing or cannot be read."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


class Action(StrEnum):
    """What is to be done in a Region."""

    NONE = "none"
    APPLY = "apply"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Adoption:
    """A decision with its reason. `changes`: in words, a line a field; `mind`: what a person should know besides."""

    action: Action
    reason: str
    changes: tuple[str, ...] = ()
    mind: str = ""


class ConfigBucket(Protocol):
    """The texts of all versions, in a bucket of each Region. What is there once is never changed."""

    def put_version(self, version: ConfigVersion, text: str) -> bool:
        """Keep a text in this Region. False when it was there already.

        Raises CorruptStateError when another text is there, ConflictError when somebody writes it at this moment.
        """
        ...

    def read_version(self, version: ConfigVersion, region: str | None = None) -> str:
        """The text as it is now, whatever its hash, here or in another Region. Raises InvalidInputError for none."""
        ...

    def versions(self, version: int) -> Sequence[ConfigVersion]:
        """What is kept in this Region under a number: one, or none."""
        ...

    def newest(self, most: int) -> Sequence[ConfigVersion]:
        """The last versions kept in this Region, the newest first."""
        ...

    def restore_version(self, version: ConfigVersion) -> bool:
        """Put back an earlier state of the object that has the version's hash. False when there is none."""
        ...


class ConfigPointer(Protocol):
    """The parameter that says in a Region which version is in force there: version, hash and key, no more."""

    def read_pointer(self) -> str | None:
        """The parameter's text, None where there is none."""
        ...

    def write_pointer(self, version: ConfigVersion) -> None:
        """Replace it. Parameter Store has no conditional write: see `point`."""
        ...


class SyncedStore(Protocol):
    """The item of the table, as far as versions need it. Reads are strongly consistent."""

    def standing(self) -> Standing:
        """What is there, unparsed."""
        ...

    def write_standing(self, config: FleetConfig, *, seen_revision: int, synced: Synced | None) -> Standing:
        """Compare-and-set of both; `seen_revision` 0 writes the first. Raises ConflictError.

        Who writes by hand gives `synced` as it was: that the two differ is drift, and is found.
        """
        ...


def pointer_text(version: ConfigVersion) -> str:
    """What the parameter says."""
    return json.dumps({"key": version.key, "sha256": version.sha256, "version": version.version}, sort_keys=True)


def decide(
    region: str,
    wanted: ConfigVersion,
    token: int,
    config: FleetConfig,
    standing: Standing,
    model: ModelRecord | None,
    serving: Desired | None,
) -> Adoption:
    """What to do in a Region with a version that is valid there: `config` is what it means there.

    `model`: what is known here of the model that it names. `serving`: the scope's desired state, None where nothing
    serves yet or the Region only watches.
    """
    synced, text = standing.synced, config.canonical()
    if synced is not None and token < synced.token:
        later = f"{synced.wanted} was synced here by a later sync (token {synced.token}, this one has {token})"
        return Adoption(Action.REFUSE, f"{later}; start a new one if this version is meant")
    before = standing.document()
    changes = tuple(difference(before, json.loads(text)))
    if (why_not := _unverified(region, config, before, model)) is not None:
        return Adoption(Action.REFUSE, why_not, changes)
    if serving is not None:
        try:
            configuration.check_change(region, config, serving)
        except InvalidInputError as error:
            return Adoption(Action.REFUSE, str(error), changes)
    mind = _model_problem(region, config, model) or ""
    is_same = standing.text == text and standing.sha256 == config_versions.sha256(text)
    if is_same and synced is not None and (synced.wanted, synced.token) == (wanted, token):
        return Adoption(Action.NONE, f"{wanted} is in force here already", (), mind)
    if is_same:
        return Adoption(Action.APPLY, f"{wanted} says what is in force here already; only its number is new", (), mind)
    return Adoption(Action.APPLY, f"{wanted} changes {_counted(changes)} here", changes, mind)


def refuse(reason: str) -> Adoption:
    """Nothing is changed, for a reason that was found before anything was compared."""
    return Adoption(Action.REFUSE, reason)


def synced_now(wanted: ConfigVersion, token: int, config: FleetConfig, by: str, now: float) -> Synced:
    """What is written beside the configuration."""
    return Synced(wanted, token, config.digest(), by, now)


def check_in_force(wanted: ConfigVersion, token: int, meant_sha256: str, standing: Standing) -> None:
    """After the write: raises ConflictError unless the table holds exactly what the version means here."""
    found = standing.synced
    if found is None or (found.wanted, found.token) != (wanted, token):
        raise ConflictError(f"{wanted} was written, and {found.wanted if found else 'none'} is found")
    if {config_versions.sha256(standing.text), standing.sha256, found.applied_sha256} != {meant_sha256}:
        raise ConflictError(f"{wanted} was written, and somebody changed the configuration since")


def point(store: SyncedStore, pointer: ConfigPointer) -> Synced:
    """Make the parameter say what the table says, until the two agree. Raises ConflictError when they do not come to.

    As the actuator does it with weights: write, then read both again, because a late writer cannot be kept out.
    """
    for _ in range(AGREE_ROUNDS):
        synced = store.standing().synced
        if synced is None:
            raise ConflictError("no version is in force here any more")
        if pointer.read_pointer() != pointer_text(synced.wanted):
            pointer.write_pointer(synced.wanted)
            continue
        if (again := store.standing().synced) is not None and again.wanted == synced.wanted:
            return synced
    raise ConflictError("the parameter does not stay as it is written; somebody else writes it")


def moved_models(
    records: Sequence[ModelRecord], config: FleetConfig, wanted: ConfigVersion, now: float
) -> list[ModelRecord]:
    """The model records to be written once a configuration is in force: its model is live, no other one is."""
    written = []
    for each in records:
        is_named = (each.model, each.version) == (config.model.name, config.model.version)
        if is_named and each.state is ModelState.VERIFIED:
            written.append(each.live(f"configuration {wanted} points at it", now))
        elif not is_named and each.state is ModelState.LIVE:
            written.append(each.retired(f"configuration {wanted} points at {config.model.name}", now))
    return written


def _unverified(
    region: str, config: FleetConfig, before: dict[str, Any] | None, model: ModelRecord | None
) -> str | None:
    """Why the Region may not be pointed at the model. One that it points at already is not taken from it."""
    problem = _model_problem(region, config, model)
    was = (before or {}).get("model", {})
    is_kept = (was.get("name"), was.get("version")) == (config.model.name, config.model.version)
    return None if problem is None or is_kept else f"model: {problem}"


def _model_problem(region: str, config: FleetConfig, model: ModelRecord | None) -> str | None:
    """A Region that only watches serves no model."""
    if region not in config.regions:
        return None
    return model_states.refusal(model, config.model.name, config.model.version, region)


def _counted(changes: Sequence[str]) -> str:
    return "1 field" if len(changes) == 1 else f"{len(changes)} fields"
