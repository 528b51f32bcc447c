"""A word to people by this Region's own ports, as handlers say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast import bootstrap, telling

if TYPE_CHECKING:
    from standfast.announcements import Announcement


def tell(
    announcement: Announcement, *, incident_id: str, scope_id: str, failed_cluster_id: str = "", now: float
) -> bool:
    """`telling.tell` with what it works with. False when it was told already."""
    return telling.tell(
        announcement,
        incident_id=incident_id,
        scope_id=scope_id,
        failed_cluster_id=failed_cluster_id,
        incidents=bootstrap.cluster_table(),
        messenger=bootstrap.messenger(),
        switches=bootstrap.region_table(),
        now=now,
    )
