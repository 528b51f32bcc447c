"""Drift: where a Region's configuration is not the version that was last synced there, and what becomes of it.

Three things can be changed by hand: the parameter that says which version is in force, the text of the version in the
bucket, and what is in force in the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from standfast import config_versions
from standfast.announcements import Announcement, Urgency
from standfast.config_adoption import pointer_text
from standfast.config_versions import difference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.config_adoption import Standing
    from standfast.configuration_rules import Drift as Policy

SETTLE_SECONDS: Final = 60.0
"""A sync writes the table, then the parameter. Younger than this, a difference of the two may be its own."""
AGAIN_SECONDS: Final = 300
"""A repair that failed is not tried again sooner, and so is the very same edit of a parameter or a text."""
OUTCOME_NONE: Final = "config-as-synced"


class Where(StrEnum):
    """What was changed."""

    PARAMETER = "parameter"
    OBJECT = "object"
    TABLE = "table"


class Action(StrEnum):
    """What becomes of drift."""

    NONE = "none"
    TELL = "tell"
    REPAIR = "repair"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a Region has. `pointer`: the parameter's text, `kept`: the version's text in the bucket; None where missing.

    `meant`: what the synced version means here, None where its text cannot be had.
    """

    standing: Standing
    pointer: str | None
    kept: str | None
    meant: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference, in words."""

    where: Where
    text: str


@dataclass(frozen=True, slots=True)
class Drift:
    """A decision with its reason. `unreadable`: what is in force cannot be read, so that the watch stands still."""

    action: Action
    reason: str
    findings: tuple[Finding, ...] = ()
    unreadable: bool = False

    @property
    def outcome(self) -> str:
        """In a word that can be compared: somebody is told again when it changes."""
        return OUTCOME_NONE if self.action is Action.NONE else f"config-drift-{self.action}-{self.mark}"

    @property
    def mark(self) -> str:
        """The same for the same findings."""
        return config_versions.sha256("\n".join(each.text for each in self.findings))[:12]

    def is_told_by(self, outcome: str | None) -> bool:
        """Whether what was told last says it. That a repair begins is no news to who was told of the same findings."""
        if self.action is Action.NONE:
            return outcome in (None, OUTCOME_NONE)
        begun = self.action is Action.REPAIR and outcome == f"config-drift-{Action.TELL}-{self.mark}"
        return begun or outcome == self.outcome

    def found(self, where: Where) -> bool:
        """Whether this was changed."""
        return any(each.where is where for each in self.findings)


def decide(evidence: Evidence, policy: Policy, brake: str, now: float) -> Drift:
    """What was changed by hand, and what becomes of it.

    `policy` is `configuration.drift` of the synced version; `brake` says why Standfast may change nothing now, empty
    where it may. What a person put in force is left alone unless the configuration asks for repair.
    """
    synced = evidence.standing.synced
    if synced is None:
        return Drift(Action.NONE, "no version was synced here yet: the configuration was applied by hand")
    findings = _findings(evidence)
    if not findings:
        return Drift(Action.NONE, f"{synced.wanted} is in force as it was synced")
    if now - synced.at < SETTLE_SECONDS and {each.where for each in findings} <= {Where.PARAMETER}:
        return Drift(Action.NONE, f"{synced.wanted} was synced a moment ago; the parameter may follow")
    unreadable = evidence.standing.document() is None or (
        evidence.standing.sha256 != config_versions.sha256(evidence.standing.text)
    )
    if policy == "tell":
        kept = "configuration.drift says tell, so it is left as it is"
        return Drift(Action.TELL, kept, tuple(findings), unreadable)
    if brake:
        return Drift(Action.TELL, f"it is not repaired: {brake}", tuple(findings), unreadable)
    return Drift(
        Action.REPAIR, f"configuration.drift says repair: {synced.wanted} is put back", tuple(findings), unreadable
    )


def not_repaired(drift: Drift, why: str) -> Drift:
    """A repair that failed: told, and tried again later."""
    reason = f"the repair failed, and is tried again every {AGAIN_SECONDS // 60} minutes: {why}"
    return replace(drift, action=Action.TELL, reason=reason)


def repair_name(drift: Drift, standing: Standing, now: float) -> str:
    """Of the execution that repairs: the same drift begins one in five minutes, another write of the table its own."""
    token = standing.synced.token if standing.synced else 0
    return f"drift-{token}-{standing.revision}-{drift.mark}-{int(now // AGAIN_SECONDS)}"


def announcement(region: str, drift: Drift, evidence: Evidence) -> Announcement:
    """What a person is told of it."""
    synced = evidence.standing.synced
    version = str(synced.wanted) if synced else "no version"
    if drift.action is Action.NONE:
        text = f"The configuration of {region} is as it was synced again: {drift.reason}."
        return Announcement(
            Urgency.NOTICE, f"{region}: the configuration is as synced", text, "ConfigDriftEnded", drift.outcome
        )
    lines = [f"The configuration of {region} is not {version}, which was synced there:"]
    lines += [f"- {each.text}" for each in drift.findings]
    lines.append(f"What is done: {drift.reason}.")
    number = synced.wanted.version if synced else 0
    lines += [
        f'To put it back: start sync-config with {{"version": {number}, "reason": …, "by": …}}.',
        "To keep it: sync a document that says the same. Until then the other Regions do not have it.",
    ]
    urgency = Urgency.PAGE if drift.unreadable else Urgency.NOTICE
    subject = f"{region}: the configuration was changed by hand"
    return Announcement(urgency, subject, "\n".join(lines), "ConfigDrifted", drift.outcome)


def _findings(evidence: Evidence) -> list[Finding]:
    standing = evidence.standing
    synced = standing.synced
    if synced is None:
        return []
    found = []
    if evidence.pointer is None:
        found.append(Finding(Where.PARAMETER, "the parameter is gone"))
    elif evidence.pointer != pointer_text(synced.wanted):
        found.append(Finding(Where.PARAMETER, f"the parameter says {_short(evidence.pointer)}"))
    if evidence.kept is None:
        found.append(Finding(Where.OBJECT, f"the text of the version is gone from the bucket ({synced.wanted.key})"))
    elif config_versions.sha256(evidence.kept) != synced.wanted.sha256:
        found.append(Finding(Where.OBJECT, f"the text of the version was changed in the bucket ({synced.wanted.key})"))
    found += [Finding(Where.TABLE, text) for text in _in_table(standing, synced.applied_sha256, evidence.meant)]
    return found


def _in_table(standing: Standing, meant_sha256: str, meant: Mapping[str, object] | None) -> Sequence[str]:
    """What is in force otherwise, field by field where both sides can be read."""
    actual = config_versions.sha256(standing.text)
    if actual == meant_sha256 and standing.sha256 == actual:
        return []
    document = standing.document()
    if document is None:
        return ["what is in force cannot be read: it was edited in the table, and is no JSON"]
    edited = ["it was edited in the table itself: its hash does not fit its text, so nothing reads it any more"]
    lines = [f"in force is otherwise - {line}" for line in difference(meant, document)] if meant is not None else []
    if not lines:
        lines = ["in force is another text than the version's"]
    return (edited if standing.sha256 != actual else []) + lines[:20]


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."
