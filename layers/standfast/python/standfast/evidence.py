"""The evidence in a page: what the watch found of each cluster, and how the Region looks from the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.errors import StandfastError

if TYPE_CHECKING:
    from standfast.stores import SightStore, ViewStore

OLD_SECONDS = 60.0
"""A sight that is older says nothing of this failure."""


def gather(scope_id: str, views: ViewStore, sights: SightStore, now: float) -> list[str]:
    """A sentence each. What cannot be read is said, and keeps nobody from being told the rest."""
    return [*_clusters(views, now), *_from_outside(scope_id, sights, now)]


def _clusters(views: ViewStore, now: float) -> list[str]:
    try:
        found = views.view().assessments
    except StandfastError as error:
        return [f"what the watch found cannot be read: {error}"]
    return [
        f"{cluster_id} is {assessment.verdict}, {now - assessment.assessed_at:.0f} s ago: {assessment.reason}"
        for cluster_id, assessment in sorted(found.items())
    ]


def _from_outside(scope_id: str, store: SightStore, now: float) -> list[str]:
    try:
        found = [sight for sight in store.sights() if sight.region == scope_id and now - sight.seen_at <= OLD_SECONDS]
    except StandfastError as error:
        return [f"how {scope_id} looks from other Regions cannot be read: {error}"]
    return [
        f"from {sight.vantage} {scope_id} looks {sight.verdict}, {now - sight.seen_at:.0f} s ago: {sight.reason}"
        for sight in sorted(found, key=lambda sight: sight.vantage)
    ]
