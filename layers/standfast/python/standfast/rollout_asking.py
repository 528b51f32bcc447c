"""A changed replica is asked: what it has loaded, and as many canaries in a row as it takes to believe it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast import golden
from standfast.rollout import IN_A_ROW, Finding, judge_replica

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.fleet import Model
    from standfast.golden import Golden
    from standfast.model_versions import ModelVersion
    from standfast.ports import Prober


async def ask_replica(
    prober: Prober, url: str, wanted: ModelVersion, model: Model, recorded: Sequence[Golden], now: float
) -> Finding:
    """What was found of it. `recorded` are the golden answers of the wanted version; `model` is FleetConfig's."""
    said = await prober.describe(url)
    probes, last = [], None
    for turn in range(IN_A_ROW):
        # Each canary asks another golden question, where several are recorded.
        last = golden.question(recorded, model.canary.prompt, now + turn)
        nonce = last.nonce if last else None
        probe = await prober.ask(url, wanted.name, model.canary, logprobs=True, nonce=nonce)
        probes.append(golden.compared(probe, last, model.canary.logprob_tolerance) if last else probe)
        if not probes[-1].passed:
            break
    return judge_replica(wanted, model, said, probes, is_golden=last is not None)
