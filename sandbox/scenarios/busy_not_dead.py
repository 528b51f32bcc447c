"""`busy-not-dead`: long prefills, then a deep queue, on every replica of the active cluster. Nothing fails over.

The replicas are slowed, as a real model is, and asked for more than they can do, through the entry as users ask: first
prompts of thousands of tokens, then more answers than there are slots for. Canaries come late or not at all, users
wait in vain, and the engines' counters move: that is saturated, and saturated is never dead. What may act is shedding,
and it is counted apart: it moves no traffic from one cluster to another.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from sandbox.scenario import Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.fault_table import FaultRow
    from sandbox.fleet.load import Plan
    from sandbox.region import RuleChange, SandboxRegion
    from sandbox.scenario import Stage
    from sandbox.verdicts import Written
    from standfast.stores import View

NAME: Final = "busy-not-dead"
SHARE: Final = 0.05
"""How much of a processor each replica has: some 500 tokens a second written, 1,300 read."""
BUSY_SECONDS: Final = 30.0
"""Of each of the two, and much longer than a failover takes to start (4 s)."""
SHEDDING: Final = {"raise_seconds": 5, "calm_seconds": 10}
"""A hold is shorter here than by default (10 s, 60 s): the story is the same and does not take ten minutes."""
LIMIT_SECONDS: Final = 60.0
CALM_LIMIT_SECONDS: Final = 180.0
SAID: Final = "saturated, not dead"


@dataclass(frozen=True, slots=True)
class Busyness:
    """One way to be busy: requests a second, words of a prompt and tokens of an answer, each from and to."""

    name: str
    rate_per_second: float
    prompt_words: tuple[int, int]
    answer_tokens: tuple[int, int]

    def plan(self, stage: Stage) -> Plan:
        """The load that makes it."""
        from sandbox.fleet.load import Plan

        return Plan(
            clients=8,
            rate_per_second=self.rate_per_second,
            seed=stage.seed,
            model=stage.region.model.version,
            prompt_words=self.prompt_words,
            answer_tokens=self.answer_tokens,
        )


BUSY: Final = (
    Busyness("long prefill", 8.0, (500, 700), (8, 24)),
    Busyness("deep queue", 16.0, (3, 20), (500, 1000)),
)


def run(stage: Stage) -> Report:
    """Each once; the Region is well afterwards."""
    from sandbox import fault_table
    from sandbox.fleet.slowness import Slowness
    from sandbox.verdicts import Verdicts
    from sandbox.witness import Witness

    region, say = stage.region, stage.say
    stage.sandbox.apply_config(shedding=SHEDDING)
    region.wait_until_ready()
    usual = region.start_load()
    witness = Witness(region)
    before = region.rule_changes[-1].weights
    rows: list[FaultRow] = []
    with Verdicts(tuple(stage.sandbox.regions.values())) as verdicts:
        for busyness in BUSY:
            with Slowness([node.replica for node in region.nodes.nodes(region.primary)], SHARE):
                rows.append(_row(stage, busyness))
            say(f"{busyness.name} is over: {rows[-1].reason or 'nobody said that the cluster was saturated'}")
            region.wait_for("the end of shedding", lambda: not _shed(region), CALM_LIMIT_SECONDS)
            region.wait_until_ready()
        heard = verdicts.heard()
    records = usual.stop()
    changes = witness.rule_changes()
    found = fault_table.figures(rows, false := false_verdicts(heard, region.primary))
    found |= witness.figures() | {
        "weight_changes": moves_between_clusters(before, changes),
        "shed_changes": len(changes),
        "most_shed_percent": max((_share(change.weights) for change in changes), default=0),
        "requests": len(records),
        "failed_requests": sum(record.failed for record in records),
        "shed_requests": sum(record.shed for record in records),
    }
    faults = [*witness.faults(), *fault_table.complaints(rows, false)]
    faults += [f"{key} is {found[key]}" for key in ("weight_changes", "failovers_started") if found[key]]
    return Report(NAME, stage.region_name, found, witness.timeline(), faults)


def _row(stage: Stage, busyness: Busyness) -> FaultRow:
    """Busy for so long, under the usual load too; both the watch and an assessment must say what it is."""
    from sandbox.fault_table import FaultRow, plain_health
    from sandbox.fleet.load import Load

    region = stage.region
    stage.say(f"{busyness.name}: every replica of {region.primary}")
    with Load(busyness.plan(stage)) as load:
        load.start(region.door.url)
        began_at = time.time()
        reason = region.wait_for(
            "the watch to find it saturated", lambda: _watch_says(region.view(), region, began_at), LIMIT_SECONDS
        )
        seconds = time.time() - began_at
        stage.say(f"the watch: {reason}")
        plain = plain_health(region.nodes.nodes(region.primary)[0].replica.url)
        started = region.client("stepfunctions").start_execution(
            stateMachineArn=region.outputs["AssessArn"], input=json.dumps({"trigger": "console"})
        )
        region.wait_for_end(started["executionArn"])
        checked = region.view().checks[region.primary]
        stage.say(f"an assessment: {checked.verdict}: {checked.reason}")
        time.sleep(max(0.0, began_at + BUSY_SECONDS - time.time()))
    return FaultRow(busyness.name, plain, "degraded (watch)", reason, seconds)


def _watch_says(view: View, region: SandboxRegion, since: float) -> str:
    """The watch's reason once at least half of the replicas are saturated."""
    found = view.assessments[region.primary]
    enough = 2 * found.saturated >= found.expected and found.assessed_at >= since and SAID in found.reason
    return found.reason if enough else ""


def false_verdicts(heard: Sequence[Written], busy_id: str) -> list[str]:
    """Whoever called the busy cluster dead, and whatever was said of the others that is not healthy."""
    from sandbox.verdicts import spells
    from standfast.health import Verdict

    return [str(each) for each in spells(heard) if each.cluster_id != busy_id or each.verdict is Verdict.UNHEALTHY]


def moves_between_clusters(before: Mapping[str, int], changes: Sequence[RuleChange]) -> int:
    """How often the clusters' own weights changed, whatever is shed beside them."""
    from standfast.fleet import SHED

    weights = [before, *(change.weights for change in changes)]
    own = [{name: weight for name, weight in each.items() if name != SHED} for each in weights]
    return sum(first != second for first, second in pairwise(own))


def _share(weights: Mapping[str, int]) -> int:
    from standfast.rule_weights import share

    return share(weights)


def _shed(region: SandboxRegion) -> int:
    return _share(region.rule_changes[-1].weights)


SCENARIO = Scenario(NAME, "long prefills and a deep queue on all replicas: saturated, not dead, nothing moves", run)
