"""What the request journal costs for a million requests, from list prices and from the items that a gateway writes."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from sandbox.plan import ROOT
from standfast_gateway import Settings, layout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

PRICES: Final[dict[str, Any]] = json.loads((ROOT / "sandbox" / "journal_prices.json").read_text())
MILLION: Final = 1_000_000
WRITE_BYTES: Final = 1024
MONTH_HOURS: Final = 730


@dataclass(frozen=True, slots=True)
class Usual:
    """A request: bytes of its prompt, and how many tokens its answer has in how many seconds. A token: four bytes."""

    prompt_bytes: int = 4000
    tokens: int = 500
    seconds: float = 10.0


def cost(usual: Usual, piece_seconds: float) -> dict[str, float]:
    """Write units of one request by what they are for, and USD for a million of such requests."""
    prose = "".join(page.read_text() for page in sorted((ROOT / "docs").glob("*.md")))  # it packs as prompts do
    prompt = (prose * (usual.prompt_bytes // len(prose) + 1))[: usual.prompt_bytes]
    sent = json.dumps({"model": "a-model", "prompt": prompt, "max_tokens": usual.tokens, "stream": True}).encode()
    head = layout.head(
        "0" * 32, owner="gateway-01-1234-0a1b2c3d", scope="us-east-1", path="/v1/chat/completions",
        serving=f"a-model v1 {'0' * 64}", caller="0" * 64, body_sha256="0" * 64, accepted_at=1.8e9, expires_at=1.8e9,
    )  # fmt: skip
    count = math.ceil(usual.seconds / piece_seconds)
    text = "word" * math.ceil(usual.tokens / count)
    pieces = [layout.piece("0" * 32, 1, number, text, 50, "", 1.8e9) for number in range(count)]
    body = layout.body("0" * 32, sent, 1.8e9)
    units = {
        "accept_head": _units([head]),
        "accept_index": _units([head]),
        "accept_body": _units([body]),
        "progress": _units(pieces),
        "end_head": _units([head]),
        "end_index": 1.0,
    }
    kept = sum(layout.size(item) for item in (head, head, body, *pieces)) / 2**30
    hours = Settings(table="t", scope="s").keep_seconds / 3600
    writes = sum(units.values()) * PRICES["write_per_million"]
    storage = MILLION * kept * hours / MONTH_HOURS * PRICES["storage_per_gb_month"]
    # Each change once more in the next Region's table, and over there.
    sent = MILLION * (kept + layout.size(head) / 2**30) * PRICES["transfer_between_regions_per_gb"]
    return {
        **units,
        "usd_per_million_requests": round(writes + storage, 2),
        "usd_with_copies_in_the_next_region": round(2 * (writes + storage) + sent, 2),
    }


def run_cost(console: Console, usual: Usual) -> dict[str, Any]:
    """Print a table for three ways to write progress, and return the figures by seconds between two pieces."""
    found = {seconds: cost(usual, seconds) for seconds in (0.5, 1.0, 2.0)}
    title = f"{usual.prompt_bytes} bytes of prompt, {usual.tokens} tokens in {usual.seconds:g} s; {PRICES['source']}"
    table = Table("write units of a request", *(f"a piece each {seconds:g} s" for seconds in found), title=title)
    for name in next(iter(found.values())):
        table.add_row(name.replace("_", " "), *(f"{figures[name]:,g}" for figures in found.values()))
    console.print(table)
    return {f"{seconds:g}": figures for seconds, figures in found.items()}


def _units(items: Iterable[layout.Item]) -> float:
    """Write request units: each item costs its size in whole KB."""
    return float(sum(math.ceil(layout.size(item) / WRITE_BYTES) for item in items))
