"""`gray-failure`: one replica of four is broken while its `GET /health` stays well, or a fifth of all answers fail.

Nothing is started by hand: each row waits for the watch, or for the assessment as it is scheduled (twice a minute).
After each the fault is mended, and both must find the cluster well before the next. A cluster with one bad replica
stays where it is: every change of the weights, every failover and every verdict on a cluster without a fault is a false
verdict.

Errors are counted over a minute here, not over three as by default. Their row comes first, and the minutes until the
load balancer's figures are clean again are those of the other rows.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sandbox.plan import SandboxError
from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from sandbox.fault_table import FaultRow
    from sandbox.fleet.nodes import Node
    from sandbox.region import SandboxRegion
    from sandbox.scenario import Stage
    from sandbox.verdicts import Verdicts
    from standfast.stores import View

NAME: Final = "gray-failure"
WINDOW_SECONDS: Final = 60
MINUTE_SECONDS: Final = 60.0
"""The load balancer's figures are of whole minutes."""
HELD_SHARE: Final = 0.1
"""Of a processor: the tiny model is so quick that nobody could hold its slots otherwise."""
SLOW_SHARE: Final = 0.02
LOOK_SECONDS: Final = 0.2
LIMIT_SECONDS: Final = 90.0
"""The longest way to a verdict: a minute of the load balancer's metrics, half a minute to the next assessment."""
ERRORS_LIMIT_SECONDS: Final = 200.0


@dataclass(frozen=True, slots=True)
class GrayFault:
    """One row. `put_in` breaks the nodes that it is given for as long as it is open.

    `everywhere`: all replicas of the active cluster, else one. `words`: one of them must be in the reason of the
    verdict that counts, so that no other fault's verdict, such as that of a restart, is taken for this one's. Where
    the load balancer's minutes are counted, a restart has failed requests too: with `whole_minute` no verdict counts
    before a minute that began with the fault has ended.
    """

    name: str
    put_in: Callable[[Stage, Sequence[Node]], Any]
    words: tuple[str, ...]
    everywhere: bool = False
    limit_seconds: float = LIMIT_SECONDS
    whole_minute: bool = False

    def counts_from(self, fault_at: float) -> float:
        """When the first verdict may be given that is this fault's, in seconds since the epoch."""
        return (fault_at // MINUTE_SECONDS + 2) * MINUTE_SECONDS if self.whole_minute else fault_at


@contextmanager
def _slots_full(stage: Stage, nodes: Sequence[Node]) -> Iterator[None]:
    """Long completions, more than it has slots, asked of the replica itself."""
    from sandbox.fleet.load import Load, Plan
    from sandbox.fleet.slowness import Slowness

    (node,) = nodes
    plan = Plan(4, 3.0, stage.seed, stage.region.model.version, prompt_words=(40, 60), answer_tokens=(900, 1000))
    with Slowness([node.replica], HELD_SHARE), Load(plan) as held:
        held.start(node.replica.url)
        yield


@contextmanager
def _stopped(_: Stage, nodes: Sequence[Node]) -> Iterator[None]:
    for node in nodes:
        node.replica.pause()
    try:
        yield
    finally:
        for node in nodes:
            node.replica.resume()


@contextmanager
def _another_model(stage: Stage, nodes: Sequence[Node]) -> Iterator[None]:
    yield from _restarted(stage, nodes, alias=None)


@contextmanager
def _other_weights(stage: Stage, nodes: Sequence[Node]) -> Iterator[None]:
    yield from _restarted(stage, nodes, alias=stage.region.model.version)


def _restarted(stage: Stage, nodes: Sequence[Node], alias: str | None) -> Iterator[None]:
    """With another model, under its own name or under the name of the right one."""
    from dataclasses import replace

    from sandbox.fleet.models import tiny_model

    right = stage.region.model
    wrong = tiny_model(right.seed + 1, right.path.parent.parent)
    for node in nodes:
        node.replica.restart(replace(wrong, version=alias or wrong.version))
    try:
        yield
    finally:
        for node in nodes:
            node.replica.restart(right)


@contextmanager
def _broken(fault: str, stage: Stage, nodes: Sequence[Node]) -> Iterator[None]:
    from sandbox.fleet.broken_engine import BrokenEngine, Fault

    with ExitStack() as stack:
        for number, node in enumerate(nodes):
            stack.enter_context(BrokenEngine(node.replica, Fault(fault), seed=stage.seed + number))
        yield


@contextmanager
def _slow(_: Stage, nodes: Sequence[Node]) -> Iterator[None]:
    from sandbox.fleet.slowness import Slowness

    with Slowness([node.replica for node in nodes], SLOW_SHARE):
        yield


FAULTS: Final = (
    GrayFault(
        "20 % errors of all",
        lambda *given: _broken("errors", *given),
        ("requests failed",),
        everywhere=True,
        limit_seconds=ERRORS_LIMIT_SECONDS,
        whole_minute=True,
    ),
    GrayFault("slots full", _slots_full, ("saturated, not dead",)),
    GrayFault("stopped process", _stopped, ("3 of 3 probes failed",)),
    GrayFault("another model", _another_model, ("another model",)),
    GrayFault("other weights under the right name", _other_weights, ("golden",)),
    GrayFault("NaN logits", lambda *given: _broken("nan", *given), ("logprob",)),
    GrayFault("nonsense tokens", lambda *given: _broken("nonsense", *given), ("golden",)),
    GrayFault("one slow sibling, within the objective", lambda *given: _broken("slow", *given), ("is apart",)),
    GrayFault("one sibling that cannot keep up", _slow, ("late", "no whole answer in time")),
    GrayFault("20 % errors of one replica", lambda *given: _broken("errors", *given), ("an error status (500)",)),
)


def run(stage: Stage) -> Report:
    """Each fault once; the Region is well afterwards."""
    from sandbox import fault_table
    from sandbox.verdicts import Verdicts
    from sandbox.witness import Witness
    from standfast.checks import CheckName

    region, say = stage.region, stage.say
    stage.sandbox.apply_config(objectives={"window_seconds": WINDOW_SECONDS})
    region.wait_until_ready()
    recorded = region.invoke("record-golden", {"cluster_id": region.primary, "reason": "the sandbox was just built"})
    say(f"{recorded['recorded']} golden answers are recorded, {recorded['sure']} of them sure")
    witness = Witness(region)
    rows: list[FaultRow] = []
    timeline: list[Moment] = []
    with Verdicts(tuple(stage.sandbox.regions.values())) as verdicts:
        for fault in FAULTS:
            _wait_until_well(region, but=(CheckName.ERRORS,))
            row = _row(stage, fault)
            timeline.append(Moment(round(time.time() - witness.began_at, 1), row.fault, row.reason))
            rows.append(row)
            say(f"{row.fault}: {'found' if row.found else 'NOT FOUND'}: {row.reason}")
        _wait_until_well(region)
        false_verdicts = _false_verdicts(region, witness.figures(), verdicts)
    found = fault_table.figures(rows, false_verdicts) | witness.figures()
    faults = [*witness.faults(), *fault_table.complaints(rows, false_verdicts)]
    return Report(NAME, stage.region_name, found, sorted([*timeline, *witness.timeline()], key=_at), faults)


def _at(moment: Moment) -> float:
    return moment.at


def _row(stage: Stage, fault: GrayFault) -> FaultRow:
    from sandbox.fault_table import FaultRow, plain_health

    region = stage.region
    nodes = region.nodes.nodes(region.primary)
    broken = nodes if fault.everywhere else nodes[-1:]
    stage.say(f"{fault.name}: {'every replica' if fault.everywhere else broken[0].replica.name}")
    with fault.put_in(stage, broken):
        fault_at = time.time()
        while (found := said_of(region.view(), region.primary, fault.words, fault.counts_from(fault_at))) is None:
            if time.time() - fault_at > fault.limit_seconds:
                break
            time.sleep(LOOK_SECONDS)
        seconds = time.time() - fault_at
        plain = plain_health(broken[0].replica.url)
    if found is None:
        return FaultRow(fault.name, plain, "", "", None)
    verdict, reason = found
    return FaultRow(fault.name, plain, verdict, reason, seconds)


def said_of(view: View, cluster_id: str, words: Sequence[str], since: float) -> tuple[str, str] | None:
    """Verdict and reason of what was said of the cluster since, in one of these words; None while nothing was.

    The watch's judgement first, then the checks of the assessment. What calls it healthy says nothing of a fault.
    """
    from standfast.health import Verdict

    bad = (Verdict.DEGRADED, Verdict.UNHEALTHY)
    said: list[tuple[str, Verdict, str]] = []
    watched, checked = view.assessments.get(cluster_id), view.checks.get(cluster_id)
    if watched is not None and watched.assessed_at >= since:
        said.append(("watch", watched.verdict, watched.reason))
    if checked is not None and checked.checked_at >= since:
        said += [(str(check.name), check.verdict, check.reason) for check in checked.checks]
    for who, verdict, reason in said:
        if verdict in bad and any(word in reason for word in words):
            return f"{verdict} ({who})", reason
    return None


def _wait_until_well(region: SandboxRegion, but: Collection[str] = ()) -> None:
    """Until the watch and an assessment find both clusters well, but for these checks. Nothing is timed here, so
    assessments are started by hand.
    """
    from standfast.health import Verdict

    region.wait_until_ready(ERRORS_LIMIT_SECONDS)
    deadline = time.time() + ERRORS_LIMIT_SECONDS
    while True:
        started = region.client("stepfunctions").start_execution(
            stateMachineArn=region.outputs["AssessArn"], input=json.dumps({"trigger": "console"})
        )
        region.wait_for_end(started["executionArn"])
        checks = region.view().checks
        bad = [
            f"{cluster_id}: {check.name}: {check.reason}"
            for cluster_id in region.replicas
            for check in checks[cluster_id].checks
            if check.verdict in (Verdict.DEGRADED, Verdict.UNHEALTHY) and check.name not in but
        ]
        if not bad:
            return
        if time.time() > deadline:
            raise SandboxError(f"{region.name} is not well again: {'; '.join(bad)}")
        time.sleep(5.0)


def _false_verdicts(region: SandboxRegion, moved: dict[str, Any], verdicts: Verdicts) -> list[str]:
    """On the clusters without a fault, and whatever was done because of a verdict."""
    from sandbox.verdicts import spells

    said = [str(each) for each in spells(verdicts.heard()) if each.cluster_id != region.primary]
    return said + [f"{key} is {moved[key]}" for key in ("weight_changes", "failovers_started") if moved[key]]


SCENARIO = Scenario(
    NAME, "what /health does not see: full slots, wrong models, NaN, nonsense, a slow sibling, 5xx", run
)
