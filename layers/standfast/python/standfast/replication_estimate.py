"""What a replication will cost and how long it takes, before it starts: from sizes, Regions and list prices.

transfer    = bytes due / 10^9 * price out of the source Region to the target, 0 within a Region
requests    = copies * price of a copy + looks * price of a read
storage     = bytes of the model / 10^9 * price, a month, in each Region
seconds     = bytes due * 8 / rate, the Regions side by side
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from standfast.replication import PART_BYTES, SINGLE_COPY_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RATES_GBPS = (1.0, 10.0)
LOOKS = 3
"""Reads of each object: its description, and the two parts of its header."""
_CATALOGUE = Path(__file__).parent / "catalogue" / "transfer_prices.json"


@dataclass(frozen=True, slots=True)
class Estimate:
    """One Region's. Prices in USD; `seconds` is gigabits a second, as text, -> seconds."""

    region: str
    objects: int
    bytes: int
    transfer_usd: float
    requests_usd: float
    storage_usd_month: float
    seconds: Mapping[str, int]


def estimate(source: str, target: str, sizes: Sequence[int]) -> Estimate:
    """What it takes to bring objects of these sizes, in bytes, from one Region to another."""
    total = sum(sizes)
    prices = _prices()
    copies = sum(1 if size <= SINGLE_COPY_BYTES else 2 + -(-size // PART_BYTES) for size in sizes)
    requests = copies * prices["copy_requests_per_1000"] + len(sizes) * LOOKS * prices["read_requests_per_1000"]
    return Estimate(
        region=target,
        objects=len(sizes),
        bytes=total,
        transfer_usd=round(total / 1e9 * transfer_price(source, target), 2),
        requests_usd=round(requests / 1000, 4),
        storage_usd_month=round(total / 1e9 * prices["storage_per_gb_month"], 2),
        seconds={f"{rate:g}": round(total * 8 / (rate * 1e9)) for rate in RATES_GBPS},
    )


def transfer_price(source: str, target: str) -> float:
    """USD a GB (10^9 bytes) from one Region to another."""
    if source == target:
        return 0.0
    table = _prices()["transfer_per_gb"]
    there = table.get(source, table["elsewhere"])
    return float(there.get(target, there["*"]))


def prices_as_of() -> str:
    """Where the prices come from and of when they are."""
    return f"{_prices()['source']}, {_prices()['as_of']}"


@cache
def _prices() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_CATALOGUE.read_text())
    return found
