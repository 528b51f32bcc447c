"""What to do about the sick nodes of a cluster: the ladder, its budgets, and when to stop.

| rung | entered for |
|---|---|
| restart engine | an engine that does not answer on a node without a fault; an Xid that NVIDIA answers so |
| reset GPU | faults whose action is a reset |
| reboot | faults whose action is a reboot; nodes to be drained, out of traffic: nothing new starts there |
| replace | what a reboot does not mend; a node that neither answers nor reports |

A remedy that did not help leads to the next rung. A node that is well is never touched. What cannot be known is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from standfast.faults import FaultKind
from standfast.health import Verdict
from standfast.xids import Action

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.checks import NodeFinding
    from standfast.recovery_rules import RecoveryRules

LADDER: Final = (Action.RESTART_ENGINE, Action.RESET_GPU, Action.REBOOT, Action.REPLACE)
RELAPSE_SECONDS: Final = 3600.0
"""What is sick again within this time was not mended by its last remedy; later it is a new illness."""
DAY_SECONDS: Final = 86_400.0
NEEDS_A_NEW_BOOT: Final = frozenset(
    str(kind) for kind in (FaultKind.NO_CUDA, FaultKind.DRIVER_MISMATCH, FaultKind.FABRIC_MANAGER, FaultKind.TOOL_HANGS)
)
"""Faults that keep a new process from starting: an engine that is restarted there does not come back."""


class Health(StrEnum):
    """How a node is, from its report and its canaries together."""

    WELL = "well"
    SICK = "sick"
    STARTING = "starting"
    UNKNOWN = "unknown"
    NOT_OURS = "taken out by somebody"


@dataclass(frozen=True, slots=True)
class Member:
    """One instance of the cluster, as it is now.

    `finding` is the judgement of its report, None when there is none. `answers`: whether every replica on it answered
    its canary; `detail` says why not. `registered`: traffic may reach it. `launched_at`: seconds since the epoch.
    """

    instance_id: str
    finding: NodeFinding | None
    answers: bool
    registered: bool
    launched_at: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One rung tried on one node. `remedy_id` makes it the same remedy, however often it is sent."""

    remedy_id: str
    instance_id: str
    rung: Action
    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of a cluster that is to be mended.

    `serves`: it has, or at any moment may be given, traffic. `remedies` are those of the last day, oldest first.
    `taken_out`: nodes that a recovery took out of traffic. `began_at`: when this recovery did. `saturated`: so many of
    its replicas work without a pause and answer too late.
    """

    cluster_id: str
    expected: int
    serves: bool
    members: Sequence[Member]
    remedies: Sequence[Remedy]
    taken_out: frozenset[str]
    began_at: float
    saturated: int = 0


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is to be done to a node next, and why. `answers`: it serves now, so its requests must end first."""

    instance_id: str
    rung: Action
    reason: str
    answers: bool = False


class RecoveryAction(StrEnum):
    """What a recovery does next."""

    TREAT = "treat"
    BRING_BACK = "bring back"
    WAIT = "wait"
    DONE = "done"
    GIVE_UP = "give up"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do next, and why. `bring_back` are nodes that are well and out of traffic by our hand."""

    action: RecoveryAction
    reason: str
    treatments: tuple[Treatment, ...] = ()
    bring_back: tuple[str, ...] = ()
    wait_seconds: int = 0


def health(member: Member, evidence: Evidence, rules: RecoveryRules, now: float) -> Health:
    """Judge one node. One whose engine was just started, or that was just launched, is given its time."""
    finding = member.finding
    known = finding is not None and finding.verdict is not Verdict.UNKNOWN
    if not member.registered and member.instance_id not in evidence.taken_out and not _is_new(member, rules, now):
        return Health.NOT_OURS
    if finding is not None and finding.action > Action.WATCH:
        return Health.SICK
    if member.answers and known:
        return Health.WELL
    if now - _touched_at(member, evidence) < rules.start_seconds:
        return Health.STARTING
    if member.answers or (not known and not _somebody_reports(evidence)):
        return Health.UNKNOWN
    return Health.SICK


def decide(evidence: Evidence, rules: RecoveryRules, now: float) -> Decision:
    """What to do next. Nodes that are well come back first; then one rung for as many nodes as can be spared."""
    judged = {member.instance_id: health(member, evidence, rules, now) for member in evidence.members}
    well = [member for member in evidence.members if judged[member.instance_id] is Health.WELL]
    back = tuple(sorted(member.instance_id for member in well if not member.registered))
    if back:
        return Decision(RecoveryAction.BRING_BACK, f"{', '.join(back)} answers and reports no fault", bring_back=back)
    late = now - evidence.began_at >= rules.deadline_seconds
    treatments: list[Treatment] = []
    refused: list[str] = []
    for member in evidence.members:
        if judged[member.instance_id] is Health.SICK:
            found = _next_remedy(member, evidence, rules, now)
            if isinstance(found, Treatment):
                treatments.append(found)
            else:
                refused.append(found)
    starting = _starting(judged, evidence, rules, now)
    chosen, spared = _affordable(treatments, evidence, starting=len(starting))
    if late:
        why = f"{evidence.cluster_id} is not mended after {rules.deadline_seconds:.0f} s"
        return Decision(RecoveryAction.GIVE_UP, "; ".join([why, *_left(evidence, judged), *refused]))
    if chosen:
        said = "; ".join(f"{each.rung} on {each.instance_id}: {each.reason}" for each in chosen)
        return Decision(RecoveryAction.TREAT, said, treatments=chosen)
    if starting:
        return Decision(RecoveryAction.WAIT, "; ".join(starting), wait_seconds=_pause(evidence, now))
    if spared:
        refused.append(spared)
    if refused:
        return Decision(RecoveryAction.GIVE_UP, "; ".join(refused))
    return _end(evidence, judged, rules, now)


def _end(evidence: Evidence, judged: dict[str, Health], rules: RecoveryRules, now: float) -> Decision:
    """Nothing is sick: done, or something is missing that no remedy brings."""
    unknown = [name for name, found in judged.items() if found is Health.UNKNOWN]
    if unknown and now - evidence.began_at < rules.start_seconds:
        return Decision(RecoveryAction.WAIT, f"no report comes from {', '.join(sorted(unknown))}", wait_seconds=15)
    if unknown:
        names = ", ".join(sorted(unknown))
        said = f"no report comes from {names}, so nobody can say how it is: look at Systems Manager there"
        return Decision(RecoveryAction.GIVE_UP, said)
    if len(evidence.members) < evidence.expected:
        said = (
            f"{evidence.cluster_id} has {len(evidence.members)} of {evidence.expected} nodes: look at the activity of "
            "its Auto Scaling group"
        )
        return Decision(RecoveryAction.GIVE_UP, said)
    others = [name for name, found in judged.items() if found is Health.NOT_OURS]
    well = sum(found is Health.WELL for found in judged.values())
    said = f"{well} of {evidence.expected} nodes of {evidence.cluster_id} answer and report no fault"
    if others:
        said += f"; {', '.join(sorted(others))} is out of its target group by somebody's hand and is left alone"
        if not evidence.serves and 2 * well < evidence.expected:
            return Decision(RecoveryAction.GIVE_UP, said)
    return Decision(RecoveryAction.DONE, said)


def entry_rung(member: Member) -> Action:
    """The rung at which a sick node enters the ladder."""
    finding = member.finding
    if finding is None or (finding.verdict is Verdict.UNKNOWN and finding.action <= Action.WATCH):
        return Action.REPLACE  # no document can be run where no agent answers
    if finding.action <= Action.WATCH:
        return Action.RESTART_ENGINE
    if finding.action is Action.DRAIN or set(finding.faults) & NEEDS_A_NEW_BOOT:
        return max(finding.action, Action.REBOOT)
    return finding.action


def _next_remedy(member: Member, evidence: Evidence, rules: RecoveryRules, now: float) -> Treatment | str:
    """The next rung for a sick node, or why there is none."""
    name, finding = member.instance_id, member.finding
    why = finding.reason if finding is not None and finding.action > Action.WATCH else f"no answer: {member.detail}"
    entry = entry_rung(member)
    own = [remedy for remedy in evidence.remedies if remedy.instance_id == name and now - remedy.at < DAY_SECONDS]
    recent = [remedy for remedy in own if now - remedy.at < RELAPSE_SECONDS]
    tried = max((remedy.rung for remedy in recent), default=Action.IGNORE)
    left = [rung for rung in LADDER if rung >= entry and rung > tried]
    if not left:
        return f"{name} is not mended by the whole ladder ({why})"
    rung = left[0]
    if rung > rules.highest:
        return f"{name} needs {rung}, and recovery.highest_remedy is {rules.highest} ({why})"
    if len(own) >= rules.remedies_per_day:
        return f"{name} had {len(own)} remedies within a day, which are all that it may have ({why})"
    replaced = [each.at for each in evidence.remedies if each.rung is Action.REPLACE and now - each.at < DAY_SECONDS]
    if any(at <= member.launched_at and now - at < RELAPSE_SECONDS for at in replaced):
        return f"{name} took the place of a node that was replaced, and is sick too: not the hardware ({why})"
    if rung is Action.REPLACE and len(replaced) >= rules.replacements_per_day:
        return f"{name} needs a replacement, and {len(replaced)} were made within a day ({why})"
    why = f"{recent[-1].rung} did not help: {why}" if recent else why
    return Treatment(name, rung, why, answers=member.answers and member.registered)


def _affordable(
    treatments: Sequence[Treatment], evidence: Evidence, *, starting: int
) -> tuple[tuple[Treatment, ...], str]:
    """As many as can be spared now, those that do not answer first; and, where none can, why not.

    A cluster that serves: one node at a time, at least half of its replicas go on answering, and none that answers is
    taken out of one that is saturated. Else half of its nodes at once, and all dead engines: that costs nothing.
    One replacement at a time: in the hour in which no GPU can be had, the others must not go too.
    """
    room = (1 if evidence.serves else max(1, evidence.expected // 2)) - starting
    answering = sum(member.answers and member.registered for member in evidence.members)
    chosen: list[Treatment] = []
    kept: list[str] = []
    for each in sorted(treatments, key=lambda found: (found.answers, found.rung, found.instance_id)):
        costs_nothing = not (evidence.serves or each.answers) and each.rung is Action.RESTART_ENGINE
        if room <= 0 and not costs_nothing:
            break
        if each.rung is Action.REPLACE and (starting or any(other.rung is Action.REPLACE for other in chosen)):
            continue
        if evidence.serves and each.answers and (evidence.saturated or 2 * (answering - 1) < evidence.expected):
            busy = f" while {evidence.saturated} replicas are saturated" if evidence.saturated else ""
            kept.append(f"{each.instance_id} needs {each.rung} and cannot be spared{busy}: {each.reason}")
            continue
        chosen.append(each)
        room -= not costs_nothing
    return tuple(chosen), "; ".join(kept)


def _starting(judged: dict[str, Health], evidence: Evidence, rules: RecoveryRules, now: float) -> list[str]:
    found = [f"{name} is starting" for name, state in judged.items() if state is Health.STARTING]
    replaced = [remedy.at for remedy in evidence.remedies if remedy.rung is Action.REPLACE]
    missing = evidence.expected - len(evidence.members)
    if missing > 0 and replaced and now - max(replaced) < rules.start_seconds:
        found += [f"Auto Scaling launches {missing} node{'s' * (missing > 1)}"]
    return found


def _left(evidence: Evidence, judged: dict[str, Health]) -> list[str]:
    details = {member.instance_id: member.finding.reason if member.finding else "" for member in evidence.members}
    bad = [name for name, found in sorted(judged.items()) if found not in (Health.WELL, Health.NOT_OURS)]
    return [f"{name} is {judged[name]}" + (f" ({details[name]})" if details[name] else "") for name in bad]


def _touched_at(member: Member, evidence: Evidence) -> float:
    own = [remedy.at for remedy in evidence.remedies if remedy.instance_id == member.instance_id]
    return max([member.launched_at, *own])


def _somebody_reports(evidence: Evidence) -> bool:
    """Where no node does, it may be our own sight that fails."""
    return any(each.finding and each.finding.verdict is not Verdict.UNKNOWN for each in evidence.members)


def _is_new(member: Member, rules: RecoveryRules, now: float) -> bool:
    """It may not be registered yet."""
    return now - member.launched_at < rules.start_seconds


def _pause(evidence: Evidence, now: float) -> int:
    """Short at first, longer for engines that load for minutes: an execution's history holds 25,000 events."""
    last = max((remedy.at for remedy in evidence.remedies), default=now)
    return 5 if now - last < 60.0 else 20
