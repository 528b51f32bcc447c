"""Weights of listener rules: shares of clusters, what is shed, and what each rule holds of desired weights. Pure.

One rule serves the traffic. Where FleetConfig names a second one, for requests of low priority, its clusters weigh the
same and only what it sheds may be more: it is no decision of its own, and is worked out from the same desired weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from standfast.fleet import SHED

if TYPE_CHECKING:
    from standfast.fleet import Entry
    from standfast.traffic import Weights

ALL: Final = 100
"""All of it, in per cent."""
FULL: Final = 100
"""What a rule weighs together where one group has everything."""
MAXIMUM: Final = 999
"""ELB API reference, TargetGroupTuple: "The range is 0 to 999"."""
LOW_SHED: Final = "shed of low priority"
"""What stands in desired weights for the share of low priority that is shed, in per cent. No cluster is called so: the
name of a cluster has no spaces."""
LOW_PRIORITY: Final = "low priority/"
"""What stands before a name of the rule for low priority, where the weights of both rules are looked at."""


def share(weights: Weights) -> int:
    """How much of the traffic is shed, in per cent; of that of low priority it may be more."""
    everything = sum(weight for name, weight in weights.items() if name != LOW_SHED)
    return round(100 * weights.get(SHED, 0) / everything) if everything else 0


def low_share(weights: Weights) -> int:
    """How much of low priority is shed by its own rule, in per cent."""
    return weights.get(LOW_SHED, 0)


def with_share(weights: Weights, percent: int, low_percent: int = 0) -> Weights:
    """The same weights of the clusters, beside so much shedding that it has this share, below 100 per cent.

    Where the clusters' weights come near to 999, which is the most that `shed` may weigh too, its share is smaller.
    """
    clusters = of_clusters(weights)
    wanted = round(sum(clusters.values()) * percent / (ALL - percent))
    low = {LOW_SHED: low_percent} if low_percent else {}
    return clusters | {SHED: min(max(wanted, 1), MAXIMUM) if percent else 0} | low


def of_clusters(weights: Weights) -> dict[str, int]:
    """The weights of the clusters alone, in either rule."""
    return {name: weight for name, weight in weights.items() if name not in (SHED, LOW_SHED, LOW_PRIORITY + SHED)}


def on_rules(weights: Weights, entry: Entry) -> Weights:
    """What the rules of an entry hold when these weights are desired: as LoadBalancer reads and writes them.

    Of low priority never less is shed than of the rest.
    """
    clusters = of_clusters(weights)
    service = {name: weight for name, weight in weights.items() if name != LOW_SHED}
    if entry.low_priority_rule_arn is None:
        return service
    percent = max(low_share(weights), share(service))
    low = {**dict.fromkeys(clusters, 0), SHED: FULL} if percent >= ALL else with_share(clusters, percent)
    return service | {LOW_PRIORITY + name: weight for name, weight in low.items()}


def by_rule(weights: Weights) -> tuple[Weights, Weights]:
    """The weights of the service's rule and of that for low priority, each under its plain names."""
    low = {name.removeprefix(LOW_PRIORITY): each for name, each in weights.items() if name.startswith(LOW_PRIORITY)}
    return {name: each for name, each in weights.items() if not name.startswith(LOW_PRIORITY)}, low
