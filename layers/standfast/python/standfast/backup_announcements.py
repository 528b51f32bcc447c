"""What people are told of backups, restores and rehearsals. Pure text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.announcements import Announcement, Urgency, cause_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standfast.restore_steps import CommitStep, RehearsalStep
    from standfast.steps import Caught


def backup_failed(region: str, error: Caught) -> Announcement:
    """No snapshot was written, or the one that was written is not good. The next is taken in an hour."""
    lines = [
        f"Why: {cause_in_words(error)}",
        "What it means: the newest good backup is that of before; the state journal goes on.",
        "What to do: mend the cause and start backup. Two hours without a good one are paged by an alarm.",
    ]
    subject = f"{region}: a backup failed"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "BackupFailed", "backup failed")


def restored(step: CommitStep, now: float) -> Announcement:
    """State was restored, and the user path was proven to serve."""
    lines = [
        f"What was put back: {step.came_from}, for {step.by}, in {now - step.planned_at:.1f} s.",
        f"Why: {step.reason}.",
        *(f"- {line}" for line in step.changes),
        *([f"- and {step.more_changes} more"] if step.more_changes else []),
        f"Traffic: {step.traffic.reason}.",
        f"What is lost: changes of the last {step.data_loss_window_seconds:.0f} s before the moment asked for.",
        *(f"Mind: {gap}." for gap in step.gaps),
        *(f"Refused on the way: {each.reason}." for each in step.refused),
        "The switch is as it was before. Requests that had no owner are being answered.",
    ]
    subject = f"{step.region}: state was restored"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "RestoreCompleted", "restored")


def put_back(region: str, execution: str, error: Caught | None, said: Sequence[str]) -> Announcement:
    """A restore did not succeed. What it had changed was put back, as far as it may be."""
    why = cause_in_words(error) if error else "its execution was stopped, or timed out"
    lines = [f"Why: {why}", "What was done:", *(f"- {line}" for line in said or ["nothing had been changed"])]
    lines.append("What to do: look at the execution; start the restore again, or with an older moment.")
    lines.append(f"Execution: {execution}")
    subject = f"{region}: a restore failed and was put back"
    return Announcement(Urgency.PAGE, subject, "\n".join(lines), "RestoreFailed", "restore failed")


def rehearsed(region: str, step: RehearsalStep, now: float) -> Announcement:
    """The newest backup was restored into a scratch scope; or it could not be, and then no backup counts."""
    scratch, proof = step.scratch, step.proof
    if step.error is not None or scratch is None or proof is None:
        why = cause_in_words(step.error) if step.error else "it left no proof"
        lines = [
            f"Why: {why}",
            "What it means: a backup that cannot be restored is none. State journal and tables are as they were.",
            "What to do: mend the cause, start backup, then restore-rehearsal.",
        ]
        subject = f"{region}: the rehearsal of a restore failed"
        return Announcement(Urgency.PAGE, subject, "\n".join(lines), "RestoreRehearsalFailed", f"failed: {now:.0f}")
    lines = [
        f"Backup {scratch.snapshot_id}: {proof.items} items and {proof.models} models.",
        f"It was proven in {proof.recovery_seconds:.1f} s.",
        f"It would have lost the changes of {scratch.data_loss_window_seconds:.0f} s.",
        *(f"Refused on the way: {each.reason}." for each in scratch.refused),
    ]
    subject = f"{region}: a restore was rehearsed"
    return Announcement(Urgency.NOTICE, subject, "\n".join(lines), "RestoreRehearsed", f"rehearsed: {now:.0f}")
