"""The assessment: five checks of a cluster from the evidence of four sides, and one verdict.

| check | asks | evidence |
|---|---|---|
| gpu | does every GPU answer, with no fault that wants a reset, a reboot or a replacement? | node reports |
| model | is the expected model and version loaded, in an engine that is ready? | canaries, the engines' own pages |
| inference | does the canary come back in time, with the golden first token or finite logprobs? | canaries |
| latency | are the first token and the next ones in time, and no replica apart from its siblings? | canaries |
| errors | is the share of 5xx below its limit, and does nobody who answers get no requests? | the load balancer |

Unknown is not unhealthy: evidence that is missing makes its check unknown and moves nothing. The verdict is the worst
check that is known; it is unknown when inference is, because nobody can then say that the cluster serves.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING

from standfast.damping import History, confirmed, damped
from standfast.engine import EngineState
from standfast.health import PASSED, Outcome, Verdict
from standfast.siblings import find_slow
from standfast.targets import Targets, find_shunned
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.fleet import Canary
    from standfast.health_rules import Objectives

_AWAY = frozenset({EngineState.STARTING, EngineState.ASLEEP, EngineState.DRAINING})
"""States in which an engine takes no request, and is not dead."""
_WORST_FIRST = (Verdict.UNHEALTHY, Verdict.DEGRADED, Verdict.HEALTHY)


class CheckName(StrEnum):
    """The five questions."""

    GPU = "gpu"
    MODEL = "model"
    INFERENCE = "inference"
    LATENCY = "latency"
    ERRORS = "errors"


@dataclass(frozen=True, slots=True)
class Check:
    """One question answered, with the reason in a sentence."""

    name: CheckName
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class NodeFinding:
    """The judgement of one node by its report. `verdict` is unknown where there is no report, and `reason` says why.

    `action` is what its heaviest fault calls for, `faults` are the kinds of all of them.
    """

    instance_id: str
    verdict: Verdict
    reason: str
    action: Action = Action.IGNORE
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """The nodes of a cluster. `reported_at`: when the youngest readable report was taken, None without any."""

    cluster_id: str
    reported_at: float | None
    nodes: tuple[NodeFinding, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one replica answered to one canary, and what its engine says of itself.

    `golden`: its first token was held against a golden answer. `state_detail` is why the state is not ready.
    `other_model` is what it says that it has loaded when that is not the model and version of FleetConfig. `saturated`:
    it was asked twice and was late both times, while its counter of work moved.
    """

    replica_id: str
    outcome: Outcome
    detail: str = ""
    first_token_seconds: float | None = None
    between_tokens_seconds: float | None = None
    golden: bool = False
    state: EngineState = EngineState.UNKNOWN
    state_detail: str = ""
    other_model: str = ""
    saturated: bool = False


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the load balancer counted for a cluster over the window: requests, and those that the users saw fail."""

    requests: float
    failed: float


@dataclass(frozen=True, slots=True)
class ClusterEvidence:
    """All that is known of one cluster. None: that side gave no evidence, and the reason stands in `missing`."""

    cluster_id: str
    expected: int
    answers: Sequence[Answer] | None
    nodes: NodeHealth | None
    traffic: Traffic | None
    missing: Mapping[str, str]
    targets: Targets | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The assessment of one cluster. `checked_at` in seconds since the epoch; `history` is for the next one."""

    cluster_id: str
    verdict: Verdict
    reason: str
    checks: tuple[Check, ...]
    checked_at: float
    history: History = field(default_factory=History)

    @property
    def failed(self) -> int:
        """Checks that are degraded or unhealthy."""
        return sum(check.verdict in (Verdict.DEGRADED, Verdict.UNHEALTHY) for check in self.checks)


def judge(
    evidence: ClusterEvidence, canary: Canary, objectives: Objectives, now: float, before: History | None = None
) -> Checked:
    """Answer the five questions and give the verdict; one that comes and goes is damped by its history.

    Tokens are called late when the assessment before found them late too.
    """
    latency = _latency(evidence, canary, objectives)
    believed, late_since = confirmed(before or History(), latency.verdict, now)
    if believed is not latency.verdict:
        latency = replace(latency, verdict=believed, reason=f"{latency.reason}: believed when it is found again")
    checks = (_gpu(evidence), _model(evidence), _inference(evidence), latency, _errors(evidence, objectives))
    known = {check.verdict for check in checks}
    inference = next(check for check in checks if check.name is CheckName.INFERENCE)
    verdict = next(verdict for verdict in (*_WORST_FIRST, Verdict.UNKNOWN) if verdict in known)
    if inference.verdict is Verdict.UNKNOWN and verdict is not Verdict.UNHEALTHY:
        verdict = Verdict.UNKNOWN
    decisive = [check for check in checks if check.verdict is verdict] if verdict is not Verdict.HEALTHY else []
    reason = "; ".join(f"{check.name}: {check.reason}" for check in decisive) or inference.reason
    verdict, damping, history = damped(before or History(), verdict, now)
    history = replace(history, late_since=late_since)
    return Checked(evidence.cluster_id, verdict, damping or reason, checks, now, history)


def _gpu(evidence: ClusterEvidence) -> Check:
    found = evidence.nodes
    if found is None or not found.nodes:
        return Check(CheckName.GPU, Verdict.UNKNOWN, evidence.missing.get("nodes", "no node was asked"))
    condemned = [node for node in found.nodes if node.verdict is Verdict.UNHEALTHY]
    silent = [node for node in found.nodes if node.verdict is Verdict.UNKNOWN]
    watched = [node for node in found.nodes if node.verdict is Verdict.DEGRADED]
    count = len(found.nodes)
    if condemned:
        said = f"{len(condemned)} of {count} nodes: {condemned[0].instance_id}: {condemned[0].reason}"
        dead = 2 * (count - len(condemned)) < count
        return Check(CheckName.GPU, Verdict.UNHEALTHY if dead else Verdict.DEGRADED, said)
    if watched:
        return Check(CheckName.GPU, Verdict.DEGRADED, f"{watched[0].instance_id}: {watched[0].reason}")
    if silent:
        said = f"{len(silent)} of {count} nodes cannot be judged: {silent[0].instance_id}: {silent[0].reason}"
        return Check(CheckName.GPU, Verdict.UNKNOWN, said)
    return Check(CheckName.GPU, Verdict.HEALTHY, f"{count} of {count} nodes are without a fault")


def _model(evidence: ClusterEvidence) -> Check:
    answers = evidence.answers
    if not answers:
        return Check(CheckName.MODEL, Verdict.UNKNOWN, evidence.missing.get("endpoints", "no replica was asked"))
    wrong = [answer for answer in answers if answer.outcome is Outcome.WRONG_MODEL or answer.other_model]
    away = [answer for answer in answers if answer.state in _AWAY]
    right = sum(answer.outcome in PASSED for answer in answers)
    if wrong:
        dead = 2 * (len(answers) - len(wrong)) < evidence.expected
        other = wrong[0].other_model or wrong[0].detail
        said = f"{len(wrong)} of {len(answers)} replicas serve another model ({other})"
        return Check(CheckName.MODEL, Verdict.UNHEALTHY if dead else Verdict.DEGRADED, said)
    if away:
        said = f"{len(away)} of {len(answers)} replicas are not ready: {away[0].replica_id} is {away[0].state}"
        why = f" ({away[0].state_detail})" if away[0].state_detail else ""
        return Check(CheckName.MODEL, Verdict.DEGRADED, said + why)
    if not right:
        return Check(CheckName.MODEL, Verdict.UNKNOWN, "no replica answered as any model")
    return Check(CheckName.MODEL, Verdict.HEALTHY, f"{right} of {len(answers)} replicas answer as the expected model")


def _inference(evidence: ClusterEvidence) -> Check:
    answers, expected = evidence.answers, evidence.expected
    if not answers:
        return Check(CheckName.INFERENCE, Verdict.UNKNOWN, evidence.missing.get("endpoints", "no replica was asked"))
    passed = sum(answer.outcome in PASSED for answer in answers)
    said = f"{passed} of {expected} replicas answered the canary"
    if passed >= expected:
        said += "" if all(answer.golden for answer in answers) else "; no golden answer is recorded yet"
        return Check(CheckName.INFERENCE, Verdict.HEALTHY, said)
    failed = [answer for answer in answers if answer.outcome not in PASSED]
    if failed and all(answer.outcome is Outcome.DENIED for answer in failed):
        return Check(CheckName.INFERENCE, Verdict.UNKNOWN, f"{said}; the others refuse our API key")
    worst = next((answer for answer in failed if answer.outcome is Outcome.NONSENSE), failed[0] if failed else None)
    why = f"{said}; {worst.replica_id}: {worst.outcome}" if worst else said
    if worst and worst.outcome is Outcome.NONSENSE:
        why += f" ({worst.detail})"
    working = sum(answer.saturated for answer in failed)
    if working:
        why += f"; {working} of them work without a pause: saturated, not dead"
    dead = 2 * (passed + working) < expected
    return Check(CheckName.INFERENCE, Verdict.UNHEALTHY if dead else Verdict.DEGRADED, why)


def _latency(evidence: ClusterEvidence, canary: Canary, objectives: Objectives) -> Check:
    took = {
        answer.replica_id: answer.first_token_seconds
        for answer in evidence.answers or ()
        if answer.first_token_seconds is not None
    }
    if not took:
        return Check(CheckName.LATENCY, Verdict.UNKNOWN, evidence.missing.get("endpoints", "no first token came"))
    objective, middle = canary.first_token_seconds, median(took.values())
    slowest = max(took, key=lambda replica: took[replica])
    late = sum(seconds > objective for seconds in took.values())
    if late:
        said = (
            f"{late} of {len(took)} first tokens came later than {objective:g} s, the last after {took[slowest]:.2f} s"
        )
        return Check(CheckName.LATENCY, Verdict.DEGRADED, said)
    if (apart := find_slow(took, objective)) is not None:
        said = f"{apart.name} is apart: its first token took {apart.value:.2f} s, its siblings' {apart.middle:.2f} s"
        return Check(CheckName.LATENCY, Verdict.DEGRADED, said)
    paces = {answer.replica_id: answer.between_tokens_seconds or 0.0 for answer in evidence.answers or ()}
    dragging = max(paces, key=lambda replica: paces[replica])
    if paces[dragging] > objectives.between_tokens_seconds:
        said = f"{dragging} takes {paces[dragging]:.2f} s from token to token, more than "
        return Check(CheckName.LATENCY, Verdict.DEGRADED, f"{said}{objectives.between_tokens_seconds:g} s")
    return Check(CheckName.LATENCY, Verdict.HEALTHY, f"the first token takes {middle:.2f} s")


def _errors(evidence: ClusterEvidence, objectives: Objectives) -> Check:
    """What users see, by the load balancer: how often requests fail, and who gets none though it would answer."""
    counted = _failed_requests(evidence, objectives)
    shunned = find_shunned(
        evidence.targets, {each.replica_id for each in evidence.answers or () if each.outcome in PASSED}
    )
    if shunned is None:
        return counted
    if counted.verdict in (Verdict.DEGRADED, Verdict.UNHEALTHY):
        return Check(CheckName.ERRORS, counted.verdict, f"{counted.reason}; {shunned}")
    return Check(CheckName.ERRORS, Verdict.DEGRADED, shunned)


def _failed_requests(evidence: ClusterEvidence, objectives: Objectives) -> Check:
    traffic = evidence.traffic
    if traffic is None:
        return Check(CheckName.ERRORS, Verdict.UNKNOWN, evidence.missing.get("traffic", "nothing was counted"))
    if traffic.requests < objectives.min_requests:
        said = f"{traffic.requests:g} requests in {objectives.window_seconds} s say nothing"
        return Check(CheckName.ERRORS, Verdict.UNKNOWN, said)
    rate = traffic.failed / traffic.requests
    said = f"{rate:.1%} of {traffic.requests:g} requests failed"
    if rate <= objectives.error_rate:
        return Check(CheckName.ERRORS, Verdict.HEALTHY, said)
    return Check(CheckName.ERRORS, Verdict.UNHEALTHY if 2 * rate > 1 else Verdict.DEGRADED, said)


def blindness(evidence: Sequence[ClusterEvidence]) -> str | None:
    """Why monitoring itself is blind: of no cluster does any node answer, nor is anything counted. None when it sees.

    One side alone may be at fault itself; the canaries go on either way.
    """
    answering = any(node.verdict is not Verdict.UNKNOWN for each in evidence if each.nodes for node in each.nodes.nodes)
    if not evidence or answering or any(each.traffic is not None for each in evidence):
        return None
    first = evidence[0]
    node = next((node.reason for node in first.nodes.nodes), "") if first.nodes else ""
    nodes = first.missing.get("nodes") or node or "no node was asked"
    return f"no node answers ({nodes}) and nothing is counted ({first.missing.get('traffic', 'no reason is known')})"
