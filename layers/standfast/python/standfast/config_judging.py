"""What a Region knows of a version and thinks of it: for the judging and the writing step of `adopt_config` alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from standfast import config_adoption, config_versions
from standfast.errors import InvalidInputError, UnknownScopeError

if TYPE_CHECKING:
    from standfast.config_adoption import Adoption, ConfigBucket, Standing, SyncedStore
    from standfast.config_sync import AdoptInput
    from standfast.fleet import FleetConfig
    from standfast.model_states import ModelStates
    from standfast.stores import ScopeStore
    from standfast.traffic import Desired


@dataclass(frozen=True, slots=True)
class Judged:
    """A decision with what it stands on: what the version means here (None where it is invalid), and the table."""

    adoption: Adoption
    config: FleetConfig | None
    standing: Standing


def judge(
    region: str,
    asked: AdoptInput,
    *,
    table: SyncedStore,
    bucket: ConfigBucket,
    models: ModelStates,
    scopes: ScopeStore,
) -> Judged:
    """Read, validate and decide. What this Region's release does not accept is refused, not raised.

    Raises CorruptStateError when the text is not the version's, InvalidInputError when there is none.
    """
    standing, document = table.standing(), text_of(asked, bucket)
    try:
        config = config_versions.effective(document, region)
    except InvalidInputError as error:
        return Judged(config_adoption.refuse(str(error)), None, standing)
    model = models.read_model(config.model.name, config.model.version)
    serving = _serving(region, scopes)
    adoption = config_adoption.decide(region, asked.as_version(), asked.token, config, standing, model, serving)
    return Judged(adoption, config, standing)


def text_of(asked: AdoptInput, bucket: ConfigBucket) -> dict[str, Any]:
    """The version's document: from this Region's bucket or, in a dry run of one that is in no bucket, as it came."""
    if asked.text:
        found: dict[str, Any] = json.loads(asked.text)
        return found
    wanted = asked.as_version()
    return config_versions.read_text(bucket.read_version(wanted), wanted)


def fetch(asked: AdoptInput, bucket: ConfigBucket) -> None:
    """Have the text in this Region's bucket: taken from the Region that asks, under its hash. May be repeated."""
    if asked.text or not asked.source:
        return
    wanted = asked.as_version()
    text = bucket.read_version(wanted, asked.source)
    config_versions.read_text(text, wanted)
    bucket.put_version(wanted, text)


def _serving(region: str, scopes: ScopeStore) -> Desired | None:
    try:
        return scopes.read(region).desired
    except UnknownScopeError:
        return None
