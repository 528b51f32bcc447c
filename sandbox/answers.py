"""What patient clients have in the end: whole answers, once each; as scenarios of the request journal count them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import SandboxError
from sandbox.scenario import Moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.fleet.patient import Outcome
    from sandbox.region import SandboxRegion

WHOLE: Final = ("streamed", "polled")


def heads(region: SandboxRegion) -> int:
    """Requests in a Region's table, its own and copies."""
    pages = region.client("dynamodb").get_paginator("scan").paginate(TableName=region.outputs["RequestTableName"])
    return sum(item["sk"]["S"] == "HEAD" for page in pages for item in page["Items"])


def counted(
    outcomes: Sequence[Outcome], streams: int, tokens: int, fault_at: float
) -> tuple[dict[str, Any], list[str]]:
    """The figures, and what is not as it must be: each of `streams` clients has `tokens` tokens, a character each."""
    if len(outcomes) != streams:
        raise SandboxError(f"{len(outcomes)} of {streams} clients came to an end")
    states = Counter(each.state for each in outcomes)
    whole = [each for each in outcomes if each.state in WHOLE and len(each.text) == tokens]
    duplicated = [each for each in outcomes if each.again or len(each.text) > tokens]
    not_whole = [each for each in outcomes if each.state in WHOLE and each not in whole and each not in duplicated]
    accepted = [each for each in outcomes if each.request_id]
    polled = [each for each in outcomes if each.state == "polled"]
    figures: dict[str, Any] = {
        "accepted": len(accepted),
        "delivered_once": len(whole),
        "incomplete": states["incomplete"],
        "lost": len(accepted) - len(whole) - states["incomplete"] - len(duplicated),
        "duplicated": len(duplicated),
        "by_stream": states["streamed"],
        "by_id": states["polled"],
        "went_on": sum(each.streamed > 0 for each in polled),
        "replayed": sum(each.streamed == 0 for each in polled),
        "restated": sum(each.restated for each in outcomes),
        "recovery_seconds": round(max(each.ended_at for each in outcomes) - fault_at, 1),
    }
    faults = [f"{key}: {figures[key]}, 0 is wanted" for key in ("lost", "duplicated", "incomplete") if figures[key]]
    if figures["delivered_once"] != streams:
        faults.append(f"delivered_once: {figures['delivered_once']}, {streams} is wanted")
    faults += [f"{each.prompt}: {len(each.text)} of {tokens} tokens" for each in not_whole[:5]]
    if not figures["by_id"]:
        faults.append("no stream was cut: nothing was proven")
    return figures, faults


def ends(outcomes: Sequence[Outcome], fault_at: float) -> list[Moment]:
    """When each answer was whole, from the fault on."""
    return [
        Moment(round(each.ended_at - fault_at, 3), each.state, f"{each.prompt}: {each.streamed} by the stream")
        for each in sorted(outcomes, key=lambda each: each.ended_at)
        if each.ended_at > fault_at
    ]
