"""Route 53 as its data plane works: what a health check is found to be, and what a name is answered.

Pure. Sources: Amazon Route 53 Developer Guide, "How Amazon Route 53 determines whether a health check is healthy",
"How Amazon Route 53 chooses records when health checking is configured", "Values specific for latency alias records".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

ALIAS_OF_A_LOAD_BALANCER_SECONDS: Final = 60
"""The TTL of an alias of a load balancer: Route 53 takes that of the target, which Elastic Load Balancing sets."""
SHARE_OF_CHECKERS: Final = 0.18
_DEEPEST: Final = 8

_MILLISECONDS: Final = {
    frozenset({"us-east-1", "us-west-2"}): 65.0,
    frozenset({"us-east-1", "us-east-2"}): 15.0,
    frozenset({"us-east-2", "us-west-2"}): 55.0,
    frozenset({"us-east-1", "eu-west-1"}): 70.0,
    frozenset({"us-east-2", "eu-west-1"}): 85.0,
    frozenset({"us-west-2", "eu-west-1"}): 130.0,
}
"""Round trips between Regions, rounded; only their order matters to a latency record."""


def distance(one: str, other: str) -> float:
    """Milliseconds from one Region to another and back. Raises KeyError for one that the table lacks."""
    return 0.0 if one == other else _MILLISECONDS[frozenset({one, other})]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a resolver learns: the host that the name stands for, and for how many seconds it may go on believing it."""

    host: str
    ttl: float


@dataclass(slots=True)
class Observed:
    """What the health checkers made of one endpoint: its status changes after `threshold` results in a row.

    A check that was never made counts as passed: Route 53 takes a new health check for healthy.
    """

    threshold: int
    passes: bool = True
    _against: int = field(default=0, repr=False)

    def take(self, *, passed: bool) -> None:
        """One result."""
        self._against = 0 if passed is self.passes else self._against + 1
        if self._against >= self.threshold:
            self.passes, self._against = passed, 0


@dataclass(slots=True)
class Endpoint:
    """What all health checkers together made of one endpoint: it answers while more than 18 % of them say so.

    Source: Developer Guide, "How Route 53 determines the status of health checks that monitor an endpoint".
    """

    checkers: Sequence[Observed]

    @property
    def passes(self) -> bool:
        """Whether the endpoint answers."""
        return sum(each.passes for each in self.checkers) > SHARE_OF_CHECKERS * len(self.checkers)


def is_healthy(check: str, configs: Mapping[str, Mapping[str, Any]], passes: Callable[[str], bool]) -> bool:
    """Whether a health check is healthy, `passes` being whether an endpoint was found to answer.

    A calculated one is while at least `HealthThreshold` of its children are; `Inverted` turns the result round.
    """
    config = configs[check]
    if config["Type"] == "CALCULATED":
        children = [is_healthy(child, configs, passes) for child in config["ChildHealthChecks"]]
        found = sum(children) >= config["HealthThreshold"]
    else:
        found = passes(check)
    return found is not bool(config.get("Inverted"))


@dataclass(frozen=True, slots=True)
class Zone:
    """A hosted zone's records (as ListResourceRecordSets gives them) and which health checks are healthy."""

    records: Sequence[Mapping[str, Any]]
    healthy: Callable[[str], bool]

    def answer(self, name: str, *, region: str, continent: str, draw: float) -> Answer | None:
        """What a resolver in a Region and continent is told of a name; None where there is no such name.

        `draw` in [0, 1) chooses among weighted records.
        """
        for _ in range(_DEEPEST):
            record = self._choose(name, region, continent, draw)
            if record is None:
                return None
            alias = record.get("AliasTarget")
            if alias is None:
                (value,) = record["ResourceRecords"]
                return Answer(str(value["Value"]), float(record["TTL"]))
            name = str(alias["DNSName"])
            if not self._known(name):
                return Answer(name.rstrip("."), ALIAS_OF_A_LOAD_BALANCER_SECONDS)
        raise ValueError(f"{name}: aliases lead in a circle")

    def _known(self, name: str) -> list[Mapping[str, Any]]:
        return [record for record in self.records if record["Name"].rstrip(".") == name.rstrip(".")
                and record["Type"] in ("A", "CNAME")]  # fmt: skip

    def _choose(self, name: str, region: str, continent: str, draw: float) -> Mapping[str, Any] | None:
        known = self._known(name)
        if not known:
            return None
        fit = [record for record in known if self._serves(record)]
        if "Weight" in known[0]:
            heavy = [record for record in fit if record["Weight"]]
            # Records of weight 0 are considered when no other is healthy; when none is, all are taken for healthy.
            return _drawn(heavy or fit or [record for record in known if record["Weight"]] or known, draw)
        fit = fit or known
        if "Region" in known[0]:
            return min(fit, key=lambda record: (distance(region, record["Region"]), record["Region"]))
        if "GeoLocation" in known[0]:
            return _placed(fit, continent)
        return fit[0]

    def _serves(self, record: Mapping[str, Any]) -> bool:
        check = record.get("HealthCheckId")
        return check is None or self.healthy(check)


def _drawn(records: Sequence[Mapping[str, Any]], draw: float) -> Mapping[str, Any]:
    total = sum(record["Weight"] for record in records)
    if not total:
        return records[int(draw * len(records))]
    left = draw * total
    for record in records:
        left -= record["Weight"]
        if left < 0:
            return record
    return records[-1]


def _placed(records: Sequence[Mapping[str, Any]], continent: str) -> Mapping[str, Any] | None:
    """The continent's record, else the default one; nobody is answered where neither is healthy."""
    places = {record["GeoLocation"].get("ContinentCode", "*"): record for record in records}
    return places.get(continent) or places.get("*")


def watched(configs: Mapping[str, Mapping[str, Any]]) -> Collection[str]:
    """The health checks that ask an endpoint."""
    return [check for check, config in configs.items() if config["Type"] in ("HTTP", "HTTPS")]
