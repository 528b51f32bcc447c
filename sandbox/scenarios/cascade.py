"""`cascade`: the active cluster is killed under a load that its standby, half the size, cannot carry.

The replicas are slowed to a few requests a second, as a real model is, and asked at a rate that four can serve and two
cannot. Nothing may leave the saturated standby, which is the last server; overload is shed with Retry-After by the
entry's rule, said, and over when the surge is over; and whoever came back when he was told to is served in the end.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sandbox import figures
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.fleet.load import Record
    from sandbox.fleet.replica import Replica
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage

NAME: Final = "cascade"
SHARE: Final = 0.06
"""How much of a processor each replica has."""
MEASURE_SECONDS: Final = 6.0
ANSWER_TOKENS: Final = (24, 72)
"""Long answers, so that few requests make the load: those that are shed come back every few seconds, each through a
function of its own, and would fill this machine before they fill the standby."""
AT_ONCE: Final = 6
"""Requests at once to each replica while its rate is measured: more than it has slots."""
BASE: Final = 0.35
SURGE: Final = 0.95
"""Requests a second of the two loads, as parts of what the standby can serve. Together they are 0.65 of the primary."""
SHEDDING: Final = {"raise_seconds": 5, "calm_seconds": 10}
"""A hold is shorter here than by default (10 s, 60 s): the story is the same and does not take ten minutes."""
PATIENCE_SECONDS: Final = 120.0
"""How long clients come back when they are told to: longer than the surge lasts."""
SERVED_PERCENT: Final = 90.0
"""Of the requests that were shed, so many must be served in the end: some come back while it is still saturated."""
SURGE_SECONDS: Final = 20.0
"""How long the surge lasts once shedding has begun."""
LIMIT_SECONDS: Final = 90.0
CALM_LIMIT_SECONDS: Final = 150.0


def run(stage: Stage) -> Report:
    """Once; the Region is left as it is then."""
    from sandbox.fleet.load import Load, Plan
    from sandbox.fleet.slowness import Slowness

    region, say = stage.region, stage.say
    for each in stage.sandbox.regions.values():
        if each.load is not None:
            each.load.close()
    stage.sandbox.apply_config(shedding=SHEDDING)
    with Slowness([node.replica for node in region.nodes.nodes()], SHARE):
        standby = [node.replica for node in region.nodes.nodes(region.standby)]
        capacity = requests_per_second(standby, sum(ANSWER_TOKENS) // 2)
        say(f"{region.standby} serves {capacity:.0f} requests a second; asked for are {(BASE + SURGE) * capacity:.0f}")
        region.wait_until_ready()
        model = region.model.version
        plan = Plan(10, BASE * capacity, stage.seed, model, PATIENCE_SECONDS, answer_tokens=ANSWER_TOKENS)
        base = region.start_load(plan)
        with Load(replace(plan, rate_per_second=SURGE * capacity, seed=stage.seed + 1)) as surge:
            surge.start(region.door.url)
            time.sleep(5.0)
            tale = _Tale(stage)
            region.nodes.kill(region.primary)
            say(f"every replica of {region.primary} is killed")
            region.wait_for("traffic at the standby", tale.serves, LIMIT_SECONDS)
            region.wait_for("shedding", lambda: tale.shed() > 0, LIMIT_SECONDS)
            say("overload is shed")
            time.sleep(SURGE_SECONDS)
            say("the surge ends; those who were told to come back still do")
            surged = surge.stop()
        region.wait_for("the end of shedding", lambda: tale.shed() == 0, CALM_LIMIT_SECONDS)
        say("everything is served again")
        return tale.report(base.stop(), surged)


def requests_per_second(replicas: Sequence[Replica], tokens: int = 16) -> float:
    """How many completions of so many tokens these replicas answer, asked by more than they have slots for."""
    import httpx

    ends_at = time.monotonic() + MEASURE_SECONDS

    def ask(replica: Replica) -> int:
        words = "why is the river north of the stone"
        body = {"model": replica.model.version, "prompt": words, "max_tokens": tokens, "stream": True}
        answered = 0
        limits = httpx.Limits(max_keepalive_connections=0)  # a connection each, as the clients have
        with httpx.Client(base_url=replica.url, trust_env=False, timeout=30, limits=limits) as client:
            while time.monotonic() < ends_at:
                client.post("/v1/completions", json=body).raise_for_status()
                answered += 1
        return answered

    askers = [replica for replica in replicas for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(len(askers)) as pool:
        return sum(pool.map(ask, askers)) / MEASURE_SECONDS


class _Tale:
    """What happens from the fault on."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._region: SandboxRegion = stage.region
        self._known = {execution["executionArn"] for execution in self._region.executions()}
        self._told = len(self._region.messages())
        self._changes = len(self._region.rule_changes)
        self._fault_at = time.time()

    def serves(self) -> bool:
        """Whether the entry sends traffic to the standby."""
        changes = self._region.rule_changes
        return bool(changes) and changes[-1].weights.get(self._region.standby, 0) > 0

    def shed(self) -> int:
        """How much the entry sheds now, in per cent."""
        from standfast.rule_weights import share

        return share(self._region.rule_changes[-1].weights)

    def report(self, base: Sequence[Record], surged: Sequence[Record]) -> Report:
        """Everything, held against what must come out."""
        from standfast.rule_weights import share

        region = self._region
        changes = region.rule_changes[self._changes :]
        moved = next((number for number, change in enumerate(changes) if change.weights[region.standby]), None)
        after = [] if moved is None else changes[moved:]
        failovers = self._failovers()
        messages = region.messages()[self._told :]
        shed = figures.shed_in_all(base) + figures.shed_in_all(surged)
        lost = figures.never_served(base) + figures.never_served(surged)
        seen = [figures.outage(records, self._fault_at) for records in (base, surged)]
        first_shed = next((change.at for change in after if share(change.weights)), None)
        found: dict[str, Any] = {
            "failovers": len(failovers),
            "left_the_last_server": sum(not change.weights[region.standby] for change in after),
            "zero_weight_moments": sum(not _serves(change.weights) for change in changes),
            "requests": sum(outage.requests for outage in seen),
            "shed_requests": sum(outage.shed_requests for outage in seen),
            "failed_requests": sum(outage.failed_requests for outage in seen),
            "shed_and_served_percent": round(100 * (shed - lost) / shed, 1) if shed else None,
            "most_shed_percent": max((share(change.weights) for change in after), default=0),
            "seconds_to_shed": None if first_shed is None else round(first_shed - self._fault_at, 3),
            "pages": sum(message.topic == "page" for message in messages),
        }
        timeline = [Moment(0.0, "fault", f"every replica of {region.primary} is killed")]
        timeline += [
            Moment(round(change.at - self._fault_at, 3), "entry follows", _in_words(change.weights))
            for change in changes
        ]
        timeline += [
            Moment(round(message.at - self._fault_at, 3), message.topic, message.subject) for message in messages
        ]
        said = any("is saturated, overload is shed" in message.subject for message in messages)
        faults = _faults(found, said=said)
        faults += [
            f"denied: {denial.role} lacks {denial.action} on {denial.resource}" for denial in region.cloud.denials()
        ]
        return Report(NAME, region.name, found, sorted(timeline, key=lambda moment: moment.at), faults)

    def _failovers(self) -> list[str]:
        started = [str(execution["executionArn"]) for execution in self._region.executions()]
        return [
            arn
            for arn in started
            if arn not in self._known and json.loads(self._region.execution(arn)["input"])["mode"] == "failover"
        ]


def _serves(weights: Mapping[str, int]) -> bool:
    from standfast.traffic import serves

    return serves(weights)


def _in_words(weights: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {weight}" for name, weight in sorted(weights.items()))


def _faults(found: Mapping[str, Any], *, said: bool) -> list[str]:
    wanted = {
        "failovers": 1,
        "left_the_last_server": 0,
        "zero_weight_moments": 0,
    }
    faults = [f"{key}: {found[key]}, {value} is wanted" for key, value in wanted.items() if found[key] != value]
    served = found["shed_and_served_percent"]
    if served is None:
        faults.append("nothing was shed")
    elif served < SERVED_PERCENT:
        faults.append(f"of those who came back when they were told to {served:g} % were served")
    if not said:
        faults.append("nobody was told that overload is shed")
    return faults


SCENARIO = Scenario(NAME, "the standby is half the size and saturates: overload is shed, nothing leaves it", run)
