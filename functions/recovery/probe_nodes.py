"""ProbeNodes: canaries to every replica of the cluster, those too that are out of traffic, until each is judged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from standfast import bootstrap
from standfast.fleet import parse_input
from standfast.health import EndpointProbe, Judgement, Verdict, judge_replica
from standfast.model_versions import expected_in
from standfast.recovery_steps import Answered, ListedStep

if TYPE_CHECKING:
    from standfast.fleet import FleetConfig
    from standfast.ports import Prober

AT_ONCE = 150
"""Replicas asked at once: a function may have 1,024 files open."""
PAUSE_SECONDS = 1.0


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer, by instance id, whether all of its replicas answer, as the watch would judge them."""
    step = parse_input(ListedStep, event, "the ProbeNodes task")
    view = bootstrap.cluster_table().view()
    config, name = view.applied.config, expected_in(view, step.cluster_id).model.name
    urls = [url for each in step.listed for url in each.urls]
    judged = dict(zip(urls, asyncio.run(_judge(urls, config, name)), strict=True))
    return {each.instance_id: _answered([judged[url] for url in each.urls]).model_dump() for each in step.listed}


def _answered(found: list[Judgement]) -> Answered:
    """A replica that is late or saturated is not dead; one that nobody can judge is not treated."""
    dead = [judgement for judgement in found if judgement.verdict is Verdict.UNHEALTHY]
    return Answered(answers=not dead, detail=dead[0].reason if dead else "")


async def _judge(urls: list[str], config: FleetConfig, name: str) -> list[Judgement]:
    prober, at_once = bootstrap.prober(config.model), asyncio.Semaphore(AT_ONCE)

    async def judged(url: str) -> Judgement:
        async with at_once:
            return await _ask(url, config, name, prober)

    return await asyncio.gather(*(judged(url) for url in urls))


async def _ask(url: str, config: FleetConfig, name: str, prober: Prober) -> Judgement:
    """As many failures in a row as the watch wants, with the engine's counter read beside them."""
    clock = bootstrap.clock()
    probes: list[EndpointProbe] = []
    for number in range(config.detection.failures):
        if number:
            await clock.sleep(PAUSE_SECONDS)
        probe = await prober.ask(url, name, config.model.canary, progress=number > 0)
        probes.append(probe)
        if probe.passed:
            break
    limits = config.detection.model_copy(update={"fresh_seconds": float("inf")})
    return judge_replica(probes, limits, clock.now())
