"""What availability is computed from: rates and times with their sources, in catalogue/fault_rates.json."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from standfast.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CATALOGUE = Path(__file__).parent / "catalogue" / "fault_rates.json"
JUDGEMENT = "judgement"
"""The basis of a value that nobody has published or measured: ours, and it may be wrong."""
GIVEN = "given"
"""The basis of a value that was not taken from the catalogue."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One assumption: its value, and where it is from. `basis` says what kind of source that is."""

    name: str
    value: float
    unit: str
    basis: str
    about: str
    source: str


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Every assumption, by the names in the catalogue, which says what each means. Shares are 0 to 1.

    Raises InvalidInputError with the field and the mend where a value cannot be.
    """

    gpu_mtbf_hours: float
    gpu_mttr_hours: float
    node_mtbf_hours: float
    node_mttr_hours: float
    engine_mtbf_hours: float
    engine_mttr_hours: float
    take_out_seconds: float
    beta: float
    beta_clusters: float
    beta_regions: float
    cluster_move_seconds: float
    cluster_coverage: float
    region_mtbf_hours: float
    region_mttr_hours: float
    region_move_seconds: float
    region_coverage: float
    person_minutes: float
    changes_per_year: float
    change_failure_share: float
    change_escape_share: float
    change_restore_hours: float

    def __post_init__(self) -> None:
        wrong = [each for field in fields(self) if (each := _fault(field.name, getattr(self, field.name)))]
        if wrong:
            raise InvalidInputError("; ".join(wrong))


def _fault(name: str, value: float) -> str | None:
    if not math.isfinite(value):
        return f"{name} is {value}: give a number"
    unit = catalogue()[name].unit
    if unit == "share" and not 0 <= value <= 1:
        return f"{name} is {value:g}: give a share, 0 to 1 (5 % is 0.05)"
    if name.endswith("mtbf_hours") and value <= 0:
        return f"{name} is {value:g}: give {unit} above 0"
    if value < 0:
        return f"{name} is {value:g}: give {unit}, 0 or more"
    return None


@cache
def catalogue() -> Mapping[str, Rate]:
    """Every row of the catalogue by its name."""
    return {name: Rate(name, **row) for name, row in document()["rates"].items()}


@cache
def document() -> Any:
    """The catalogue as it is written, with the counts that some rates are made from."""
    return json.loads(_CATALOGUE.read_text(encoding="utf-8"))


def catalogued() -> FaultRates:
    """The rates of the catalogue."""
    return FaultRates(**{name: rate.value for name, rate in catalogue().items()})


def with_given(given: Mapping[str, float]) -> FaultRates:
    """The catalogue's rates with some of one's own. Raises InvalidInputError for a name that it does not hold."""
    unknown = sorted(set(given) - set(catalogue()))
    if unknown:
        raise InvalidInputError(f"{', '.join(unknown)}: no such assumption; there are {', '.join(catalogue())}")
    return replace(catalogued(), **given)


def sources(rates: FaultRates) -> tuple[Rate, ...]:
    """Every assumption with the value that is used; one that differs from the catalogue says that it was given."""
    rows = ((row, getattr(rates, name)) for name, row in catalogue().items())
    return tuple(
        row
        if value == row.value
        else replace(row, value=value, basis=GIVEN, source=f"given; the catalogue has {row.value:g}")
        for row, value in rows
    )
