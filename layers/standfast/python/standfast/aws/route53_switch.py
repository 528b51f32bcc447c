"""RegionSwitch on Route 53: the nested weighted records of global-routing.yaml, and who condemns whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import boto3

from standfast.aws.calls import config, translated
from standfast.errors import InvalidInputError
from standfast.region_ports import FULL_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_route53 import Route53Client

    from standfast.region_ports import Condemnation, RegionWeights, Voice

_SETTLED: Final = "INSYNC"


class Route53Switch:
    """`name` is what users of all Regions ask; those of one are sent by the records of `<region>.<name>`.

    Route 53's control plane lives in us-east-1: everything here but `voices`, which asks the endpoints themselves, may
    be away when a Region is lost.
    """

    def __init__(
        self,
        hosted_zone_id: str,
        name: str,
        voices: Callable[[str], Mapping[str, Voice]],
        client: Route53Client | None = None,
    ) -> None:
        self._zone = hosted_zone_id
        self._name = name.rstrip(".")
        self._voices = voices
        self._client = client or boto3.client("route53", config=config(attempts=3))

    def voices(self, region: str) -> Mapping[str, Voice]:
        return self._voices(region)

    def evacuate(self, condemnation: Condemnation) -> None:
        """Nothing is to be brought anywhere: the health checkers ask each Region's endpoint by themselves."""

    def restore(self, region: str) -> None:
        """As `evacuate`."""

    def read_weights(self) -> Mapping[str, RegionWeights]:
        return {
            region: {str(record["SetIdentifier"]): int(record["Weight"]) for record in records}
            for region, records in self._nested().items()
        }

    def write_weights(self, region: str, weights: RegionWeights) -> str:
        records = self._nested().get(region, [])
        known = {str(record["SetIdentifier"]) for record in records}
        if unknown := sorted(set(weights) - known):
            there = ", ".join(sorted(known)) or "none"
            raise InvalidInputError(
                f"weights of {region}: {region}.{self._name} has no record for {', '.join(unknown)} (it has {there}); "
                "deploy infrastructure/global-routing.yaml"
            )
        if bad := {name: weight for name, weight in weights.items() if not 0 <= weight <= FULL_WEIGHT}:
            raise InvalidInputError(f"weights of {region}: {bad} are not between 0 and {FULL_WEIGHT}")
        changed: list[Any] = [
            {**record, "Weight": weights[str(record["SetIdentifier"])]}
            for record in records
            if weights.get(str(record["SetIdentifier"]), record["Weight"]) != record["Weight"]
        ]
        if not changed:
            return ""
        with translated(f"writing the weights of {region}.{self._name}"):
            answer = self._client.change_resource_record_sets(
                HostedZoneId=self._zone,
                ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record} for record in changed]},
            )
        return answer["ChangeInfo"]["Id"]

    def is_settled(self, change: str) -> bool:
        if not change:
            return True
        with translated(f"asking for the change {change}"):
            return self._client.get_change(Id=change)["ChangeInfo"]["Status"] == _SETTLED

    def _nested(self) -> Mapping[str, list[Any]]:
        """Region -> its nested weighted records."""
        suffix = f".{self._name}"
        found: dict[str, list[Any]] = {}
        with translated(f"reading the records of {self._name}"):
            pages = self._client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=self._zone)
            for record in (record for page in pages for record in page["ResourceRecordSets"]):
                name = record["Name"].rstrip(".")
                if name.endswith(suffix) and "Weight" in record:
                    found.setdefault(name.removesuffix(suffix), []).append(record)
        return found
