"""Versions of the configuration: one canonical text for the whole fleet, its hash, and what each Region makes of it.

A version's text is the document as a person wrote it, as JSON with sorted keys and without spaces. Defaults are not
written out in it, so that its hash is the same whatever release reads it. Under `overlays` the document may say what
one Region has otherwise, merged as RFC 7396 merges (a mapping into a mapping, all else replaced, null removes).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from standfast.errors import CorruptStateError, InvalidInputError
from standfast.fleet import FleetConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OVERLAYS: Final = "overlays"
EVERYWHERE_ALIKE: Final = ("fleet", "regions", "watchers", "schema_version")
"""What the fleet is must be the same in all Regions: each of them watches the others by it."""
MOST_BYTES: Final = 100_000
"""Of a version's text: it goes through an execution's state (256 KB), and what it means is one item of the table."""
_KEY: Final = re.compile(r"^versions/(\d{8})-([0-9a-f]{64})\.json$")
_NOT_THERE: Final = object()


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """A version by its number (1, 2, …) and the SHA-256 of its text, hexadecimal. Neither ever means another text."""

    version: int
    sha256: str

    @property
    def key(self) -> str:
        """Where its text is kept in each Region's configuration bucket."""
        return f"versions/{self.version:08d}-{self.sha256}.json"

    def __str__(self) -> str:
        """For people: `version 7 (3f2a9c41)`."""
        return f"version {self.version} ({self.sha256[:8]})"


def prefix(version: int) -> str:
    """What the key of a version begins with, whatever its hash."""
    return f"versions/{version:08d}-"


def version_of(key: str) -> ConfigVersion | None:
    """The version that is kept under a key, None for a key of something else."""
    found = _KEY.match(key)
    return ConfigVersion(int(found[1]), found[2]) if found else None


def sha256(text: str) -> str:
    """Of the text in UTF-8, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def canonical_text(document: Mapping[str, Any]) -> str:
    """A document's canonical JSON. Equal documents are equal texts.

    Raises InvalidInputError for what JSON has no word for (a date, a number as a key, .nan) and for a text too long.
    """
    _check_plain(document, "")
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    if (length := len(text.encode())) > MOST_BYTES:
        raise InvalidInputError(f"the configuration has {length} bytes, {MOST_BYTES} are possible; shorten it")
    return text


def read_text(text: str, wanted: ConfigVersion) -> dict[str, Any]:
    """The document of a version. Raises CorruptStateError when the text is not the one that its hash was made of."""
    if sha256(text) != wanted.sha256:
        raise CorruptStateError(
            f"the text under {wanted.key} is not {wanted}: its SHA-256 is {sha256(text)}; put back the object's "
            "earlier version, or copy the object from another Region's configuration bucket"
        )
    found: dict[str, Any] = json.loads(text)
    return found


def regions_of(document: Mapping[str, Any]) -> list[str]:
    """Every Region that a valid document is for: those with clusters and those that only watch."""
    return sorted({*document.get("regions", {}), *document.get("watchers", [])})


def effective(document: Mapping[str, Any], region: str) -> FleetConfig:
    """What a document means in a Region: the base with that Region's overlay.

    Raises InvalidInputError: every wrong field with its mend, and whether the base or the overlay says it.
    """
    base = {name: value for name, value in document.items() if name != OVERLAYS}
    overlays = document.get(OVERLAYS, {})
    if not isinstance(overlays, dict):
        raise InvalidInputError(f"{OVERLAYS} is not a mapping; write `<Region>:` and its fields below it")
    parsed = FleetConfig.parse(base)
    known = regions_of(base)
    for name, overlay in overlays.items():
        if name not in known:
            raise InvalidInputError(f"{OVERLAYS}.{name}: no Region of this fleet; it has {', '.join(known)}")
        _check_overlay(f"{OVERLAYS}.{name}", overlay)
    if region not in known:
        raise InvalidInputError(f"Region {region!r} is not in the FleetConfig; it has {', '.join(known)}")
    if region not in overlays:
        return parsed
    # Over the defaults too: an overlay may name a field that the base leaves to its default.
    whole = _over(base, parsed.model_dump(mode="json"), overlays[region], f"{OVERLAYS}.{region}")
    try:
        return FleetConfig.parse(whole)
    except InvalidInputError as error:
        raise InvalidInputError(f"with {OVERLAYS}.{region} the {error}") from error


def effective_everywhere(document: Mapping[str, Any]) -> dict[str, FleetConfig]:
    """Region -> what the document means there. Raises InvalidInputError, as `effective` does."""
    FleetConfig.parse({name: value for name, value in document.items() if name != OVERLAYS})
    return {region: effective(document, region) for region in regions_of(document)}


def difference(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[str]:
    """What changes, in words, a line a field, by the field's path. `before` is None where there is nothing yet."""
    if before is None:
        return ["everything: this Region has no configuration yet"]
    old, new = dict(_leaves(before)), dict(_leaves(after))
    lines = []
    for path in sorted({*old, *new}):
        was, will = old.get(path, _NOT_THERE), new.get(path, _NOT_THERE)
        if was is _NOT_THERE:
            lines.append(f"{path}: {_shown(will)} is new")
        elif will is _NOT_THERE:
            lines.append(f"{path}: {_shown(was)} goes away")
        elif json.dumps(was, sort_keys=True) != json.dumps(will, sort_keys=True):  # to Python 1, 1.0 and true are equal
            lines.append(f"{path}: {_shown(was)} becomes {_shown(will)}")
    return lines


def _over(base: Mapping[str, Any], shape: Mapping[str, Any], overlay: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The base under an overlay. `shape`: the same part of the valid base with its defaults, to judge by."""
    merged = dict(base)
    for name, value in overlay.items():
        here = f"{path}.{name}"
        given = shape.get(name)
        if value is None:
            if name not in base:
                raise InvalidInputError(f"{here}: null removes a field, and the base does not say it; remove this line")
            del merged[name]
        elif isinstance(value, dict) and (given is None or isinstance(given, dict)):
            under = base.get(name)
            merged[name] = _over(under if isinstance(under, dict) else {}, given or {}, value, here)
        elif isinstance(given, dict):
            raise InvalidInputError(f"{here}: is a mapping in the base; write below it the fields that are other here")
        elif isinstance(value, dict):
            raise InvalidInputError(f"{here}: is no mapping in the base; write its value for this Region behind it")
        else:
            merged[name] = value
    return merged


def _check_overlay(path: str, overlay: object) -> None:
    if not isinstance(overlay, dict) or not overlay:
        raise InvalidInputError(f"{path} is not a mapping; write below it the fields that are other there")
    fixed = [name for name in EVERYWHERE_ALIKE if name in overlay]
    if fixed:
        raise InvalidInputError(f"{path}.{fixed[0]}: is the same in every Region; change it in the base")


def _check_plain(value: object, path: str) -> None:
    where = path or "the document"
    match value:
        case dict():
            for name, each in value.items():
                if not isinstance(name, str):
                    raise InvalidInputError(f"{where}: the key {name!r} is no text; write it in quotes")
                _check_plain(each, f"{path}.{name}" if path else name)
        case list():
            for number, each in enumerate(value):
                _check_plain(each, f"{where}.{number}")
        case float() if value != value or value in (float("inf"), float("-inf")):
            raise InvalidInputError(f"{where}: {value} is no number that JSON knows; write a finite one")
        case None | bool() | int() | float() | str():
            return
        case _:
            raise InvalidInputError(f"{where}: {value!r} is a {type(value).__name__}; write it in quotes, as text")


def _leaves(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of everything that is no mapping, and of empty mappings."""
    for name, each in value.items():
        here = f"{path}.{name}" if path else name
        if isinstance(each, dict) and each:
            yield from _leaves(each, here)
        else:
            yield here, each


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
