"""The name that users of all Regions ask: a hosted zone, `infrastructure/global-routing.yaml`, and who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sandbox.fleet.load import Plan
from sandbox.plan import CLIENTS, REQUESTS_PER_SECOND, ROOT
from sandbox.region import ENTRY_PORT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.aws.cloud import Cloud
    from sandbox.control import ControlStack
    from sandbox.region import SandboxRegion

ZONE: Final = "standfast.test"
NAME: Final = f"llm.{ZONE}"
STACK: Final = "global-routing"


def create_zone(cloud: Cloud) -> str:
    """The hosted zone that the team has: its id."""
    zone = cloud.client("route53").create_hosted_zone(Name=ZONE, CallerReference=STACK)["HostedZone"]["Id"]
    return str(zone).rpartition("/")[2]


class GlobalName:
    """Deployed at once. `outputs` are the stack's: the ids of its health checks."""

    def __init__(
        self,
        cloud: Cloud,
        regions: Sequence[SandboxRegion],
        watcher: ControlStack | None,
        hosted_zone_id: str,
        parameters: Mapping[str, str],
    ) -> None:
        self.cloud = cloud
        self.url = f"http://{NAME}:{ENTRY_PORT}"
        self.regions = [region.name for region in regions]
        self.hosted_zone_id = hosted_zone_id
        first, second = regions
        for region in regions:
            cloud.names.lead(region.entry["LoadBalancerName"], region.door.url, region.name)
        given = {
            "HostedZoneId": self.hosted_zone_id,
            "Name": NAME,
            "FirstRegion": first.name,
            "SecondRegion": second.name,
            "FirstEntryName": first.entry["LoadBalancerName"],
            "SecondEntryName": second.entry["LoadBalancerName"],
            "FirstVerdictHost": self._verdict_host(first),
            "SecondVerdictHost": self._verdict_host(second),
            **({"WatcherVerdictHost": self._verdict_host(watcher)} if watcher else {}),
        }
        template = ROOT / "infrastructure" / "global-routing.yaml"
        self.outputs = cloud.deploy(STACK, template, {**given, **parameters}, region=first.name)
        self.checks = {first.name: self.outputs["FirstServes"], second.name: self.outputs["SecondServes"]}
        """Region -> the health check that says whether it serves."""
        self._doors = self._front_doors(regions)
        cloud.names.start()

    def serves(self, region: str) -> bool:
        """Whether the name servers take a Region for one that serves."""
        return self.cloud.names.is_healthy(self.checks[region])

    def all_serve(self) -> bool:
        """Whether they take all for such, and lead the users of each to it."""
        try:
            return all(self.serves(region) and self.led_to(region) == region for region in self.regions)
        except KeyError:
            return False  # not asked yet

    def led_to(self, region: str) -> str:
        """Where the users of a Region are led now; empty where the name is not known."""
        found = self.cloud.names.resolve(NAME, region=region)
        return "" if found is None else found.region

    def front_door_failures(self, region: str, since: float) -> int:
        """How often the name servers took its front door for shut since then."""
        check = self._doors[region]
        return sum(
            each.check == check and not each.healthy and each.at > since for each in self.cloud.names.status_changes()
        )

    def weights(self, region: str) -> Mapping[str, int]:
        """Where the records send a Region's users: serving Region -> weight, as the control plane has it."""
        pages = self.cloud.client("route53").get_paginator("list_resource_record_sets")
        return {
            str(record["SetIdentifier"]): int(record["Weight"])
            for page in pages.paginate(HostedZoneId=self.hosted_zone_id)
            for record in page["ResourceRecordSets"]
            if record["Name"].rstrip(".") == f"{region}.{NAME}" and "Weight" in record
        }

    def plan(self, region: SandboxRegion, *, clients: int = CLIENTS, rate: float = REQUESTS_PER_SECOND) -> Plan:
        """Users near a Region who ask for the name."""
        return Plan(
            clients=clients,
            rate_per_second=rate,
            seed=region.seed,
            model=region.model.version,
            names=self.cloud.names.url,
            region=region.name,
        )

    def _front_doors(self, regions: Sequence[SandboxRegion]) -> Mapping[str, str]:
        """Region -> the health check that asks its entry."""
        entries = {region.entry["LoadBalancerName"]: region.name for region in regions}
        checks = self.cloud.client("route53").list_health_checks(MaxItems="100")["HealthChecks"]
        hosts = {check["Id"]: check["HealthCheckConfig"].get("FullyQualifiedDomainName") for check in checks}
        return {entries[host]: check for check, host in hosts.items() if host in entries}

    def _verdict_host(self, stack: ControlStack) -> str:
        """The host of a Region's condemnation endpoint, as a function URL's is: here it has an address, no name."""
        host = f"condemned.lambda-url.{stack.name}.on.aws"
        self.cloud.names.lead(host, f"http://{urlsplit(stack.outputs['VerdictUrl']).netloc}", stack.name)
        return host
