"""The end of a release: told once, and the record free for the next one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from standfast.release_announcements import concluded

if TYPE_CHECKING:
    from standfast.ports import Messenger
    from standfast.release_record import ReleaseStore
    from standfast.release_steps import ReleasePlan


def end(plan: ReleasePlan, ended: str, reason: str, store: ReleaseStore, messenger: Messenger) -> dict[str, Any]:
    """Answer how it ended, and the text. One that was ended already, or outrun by another release, tells nobody."""
    last = store.read_release()
    subject, text, event_type = concluded(plan, ended, reason)
    if last.execution_arn == plan.execution_arn and not last.ended:
        messenger.notice(subject, text)
        messenger.event(event_type, {"execution_arn": plan.execution_arn, "version": plan.input.version, "text": text})
        store.write_release(replace(last, ended=ended, reason=reason), seen=last)
    return {"ended": ended, "text": text}
