"""VerifyFromOutside: ask as users do, from this Region: by the name that they ask, else at each Region they go to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from standfast import bootstrap, bootstrap_regions, region_moving
from standfast.errors import NotServingError
from standfast.fleet import parse_input
from standfast.region_steps import PeersStep, VerifiedAnswer

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig
    from standfast.ports import Prober

IN_A_ROW = 3
TRIES = 8
"""A second apart: a resolver may still hold what it was told before the move."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer what answered. Raises NotServingError, naming what did not."""
    step = parse_input(PeersStep, event, "the VerifyFromOutside task")
    config, now = bootstrap.cluster_table().read_config().config, bootstrap.clock().now()
    if step.may_change:
        region_moving.hold(bootstrap_regions.region_states(), step.token, now)
    targets = [step.region] if step.mode == "return" else list(step.peers.proven)
    name = config.region_moves.global_url
    urls = [name] if name else [config.regions[region].entry.url for region in targets]
    said = asyncio.run(_ask(config, urls))
    return VerifiedAnswer(reason=said, at=bootstrap.clock().now()).model_dump(mode="json")


async def _ask(config: FleetConfig, urls: list[str]) -> str:
    """All of them at once."""
    prober = bootstrap.prober(config.model)
    await asyncio.gather(*(_answers(prober, config, url) for url in urls))
    return f"{' and '.join(urls)} answered {IN_A_ROW} canaries in a row"


async def _answers(prober: Prober, config: FleetConfig, url: str) -> None:
    passed, last = 0, ""
    for _ in range(TRIES):
        probe = await prober.ask(url, config.model.name, config.model.canary)
        passed, last = (passed + 1, last) if probe.passed else (0, f"{probe.outcome} {probe.detail}".strip())
        if passed == IN_A_ROW:
            return
        await bootstrap.clock().sleep(1.0)
    raise NotServingError(f"{url} does not answer {IN_A_ROW} canaries in a row: {last}")
