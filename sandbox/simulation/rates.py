"""What the simulation takes for granted: `rates.json`, a source per row."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from standfast.errors import InvalidInputError
from standfast.fault_rates import GIVEN, Rate

if TYPE_CHECKING:
    from collections.abc import Mapping

Rates: TypeAlias = "Mapping[str, float]"
"""Every row's value by its name; units are in the rows."""

_FILE = Path(__file__).parent / "rates.json"


@cache
def rows() -> Mapping[str, Rate]:
    """Every row by its name."""
    document = json.loads(_FILE.read_text(encoding="utf-8"))
    return {name: Rate(name, **row) for name, row in document["rates"].items()}


def rates(given: Mapping[str, float] | None = None) -> dict[str, float]:
    """The values, with some of one's own. Raises InvalidInputError with the name and the mend."""
    given = given or {}
    unknown = sorted(set(given) - set(rows()))
    if unknown:
        raise InvalidInputError(f"{', '.join(unknown)}: no such assumption; there are {', '.join(rows())}")
    for name, value in given.items():
        _check(name, value)
    return {name: row.value for name, row in rows().items()} | dict(given)


def sources(values: Rates) -> list[Rate]:
    """Every row with the value that is used; one of the user's own says so."""
    return [
        row if values[name] == row.value else Rate(name, values[name], row.unit, GIVEN, row.about, "given")
        for name, row in rows().items()
    ]


def _check(name: str, value: float) -> None:
    if not math.isfinite(value) or value < 0:
        raise InvalidInputError(f"{name} is {value:g}: give a number, 0 or more")
    if rows()[name].unit == "share" and value > 1:
        raise InvalidInputError(f"{name} is {value:g}: give a share, 0 to 1 (5 % is 0.05)")
    if name.endswith("mtbf_hours") and value == 0:
        raise InvalidInputError(f"{name} is 0: give hours above 0")
