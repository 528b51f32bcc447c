"""What users are answered: global-routing.yaml's records and health checks, as deployed, by Route 53's rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.aws.cloud import Cloud
from sandbox.aws.latency import Latencies
from sandbox.aws.route53 import Answer, Observed, Zone, is_healthy, watched

ROOT = Path(__file__).resolve().parents[2]
EAST, WEST, WATCHER = "us-east-1", "us-west-2", "us-east-2"
NAME = "llm.example.com"
HOSTS = {EAST: "east.verdict.test", WEST: "west.verdict.test", WATCHER: "watcher.verdict.test"}
ENTRIES = {EAST: "east.elb.test", WEST: "west.elb.test"}
CONDEMNS, ABSTAINS, GONE = "200", "404", "silence"
FLOODED = "429"


class Edge:
    """The stack, and what health checkers find: what a vantage says of a Region, and which front doors answer."""

    def __init__(self, cloud: Cloud, **parameters: str) -> None:
        self._route53 = cloud.client("route53")
        zone = self._route53.create_hosted_zone(Name="example.com", CallerReference=str(parameters))["HostedZone"]["Id"]
        self.zone = zone.rpartition("/")[2]
        self.stack = f"routing-{len(self._route53.list_hosted_zones()['HostedZones'])}"
        given = {
            "HostedZoneId": self.zone,
            "Name": NAME,
            "FirstEntryName": ENTRIES[EAST],
            "SecondEntryName": ENTRIES[WEST],
            "FirstVerdictHost": HOSTS[EAST],
            "SecondVerdictHost": HOSTS[WEST],
            "WatcherVerdictHost": HOSTS[WATCHER],
        }
        template = ROOT / "infrastructure" / "global-routing.yaml"
        self.outputs = cloud.deploy(self.stack, template, given | parameters)
        self.said: dict[tuple[str, str], str] = {}
        self.doors = {EAST: True, WEST: True}

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        checks = self._route53.list_health_checks(MaxItems="100")["HealthChecks"]
        return {check["Id"]: check["HealthCheckConfig"] for check in checks}

    def passes(self, check: str) -> bool:
        """What asking an endpoint comes to: 2xx and 3xx are a success."""
        config = self.configs[check]
        host = config["FullyQualifiedDomainName"]
        for region, entry in ENTRIES.items():
            if host == entry:
                return self.doors[region]
        (vantage,) = (region for region, known in HOSTS.items() if known == host)
        region = config["ResourcePath"].removeprefix("/condemned/")
        return self.said.get((vantage, region), ABSTAINS) == CONDEMNS

    def serves(self, output: str) -> bool:
        return is_healthy(self.outputs[output], self.configs, self.passes)

    def answer(self, region: str = EAST, continent: str = "NA", draw: float = 0.5, name: str = NAME) -> Answer | None:
        records = self._route53.list_resource_record_sets(HostedZoneId=self.zone)["ResourceRecordSets"]
        configs = self.configs
        zone = Zone(records, lambda check: is_healthy(check, configs, self.passes))
        return zone.answer(name, region=region, continent=continent, draw=draw)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(
        latencies=Latencies.none(),
        log_directory=tmp_path_factory.mktemp("logs"),
        runtime_python=ROOT / ".venv-runtime" / "bin" / "python",
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def deployed(cloud: Cloud) -> Edge:
    return Edge(cloud)


@pytest.fixture
def edge(deployed: Edge) -> Edge:
    deployed.said.clear()
    deployed.doors.update({EAST: True, WEST: True})
    return deployed


def test_users_go_to_the_nearest_region_that_serves(edge: Edge) -> None:
    assert edge.answer(EAST) == edge.answer("us-east-2") == Answer(ENTRIES[EAST], 20)
    assert edge.answer(WEST) == Answer(ENTRIES[WEST], 20)


# Which vantage points are gone, and what Route 53 then does. The East is lost; who is left condemns it.
TABLE = [
    # east, west, watcher say of the East; its front door; where its users go
    pytest.param(ABSTAINS, ABSTAINS, ABSTAINS, True, EAST, id="nobody condemns"),
    pytest.param(ABSTAINS, CONDEMNS, ABSTAINS, True, EAST, id="one voice moves nobody"),
    pytest.param(CONDEMNS, ABSTAINS, ABSTAINS, True, EAST, id="nor does its own alone"),
    pytest.param(ABSTAINS, CONDEMNS, CONDEMNS, True, WEST, id="two voices move it though its door answers"),
    pytest.param(CONDEMNS, ABSTAINS, CONDEMNS, True, WEST, id="it gives itself up, and the watcher repeats it"),
    pytest.param(GONE, CONDEMNS, CONDEMNS, False, WEST, id="the Region is gone with its control plane"),
    pytest.param(GONE, CONDEMNS, GONE, False, WEST, id="the watcher is gone too: the front door moves it"),
    pytest.param(GONE, CONDEMNS, GONE, True, EAST, id="gray, and one voice left: it stays"),
    pytest.param(GONE, GONE, GONE, True, EAST, id="Standfast is gone everywhere: nothing moves"),
    pytest.param(GONE, GONE, GONE, False, WEST, id="Standfast is gone everywhere, and the door is shut"),
    pytest.param(FLOODED, FLOODED, FLOODED, True, EAST, id="a flood of every endpoint condemns nobody"),
    pytest.param(FLOODED, CONDEMNS, CONDEMNS, True, WEST, id="a flood of one endpoint silences one voice"),
]


@pytest.mark.parametrize(("east", "west", "watcher", "door", "goes_to"), TABLE)
def test_two_voices_or_the_front_door_move_a_region(
    edge: Edge, east: str, west: str, watcher: str, door: bool, goes_to: str
) -> None:
    edge.said.update({(EAST, EAST): east, (WEST, EAST): west, (WATCHER, EAST): watcher})
    edge.doors[EAST] = door
    assert edge.serves("FirstServes") is (goes_to == EAST)
    assert edge.serves("SecondServes")
    assert edge.answer(EAST) == Answer(ENTRIES[goes_to], 20)
    assert edge.answer(WEST) == Answer(ENTRIES[WEST], 20)


def test_with_both_regions_out_route_53_answers_as_if_both_were_well(edge: Edge) -> None:
    edge.doors.update({EAST: False, WEST: False})
    assert (edge.answer(EAST), edge.answer(WEST)) == (Answer(ENTRIES[EAST], 20), Answer(ENTRIES[WEST], 20))


def test_without_a_third_view_it_takes_both_voices(cloud: Cloud) -> None:
    edge = Edge(cloud, WatcherVerdictHost="")
    edge.said[WEST, EAST] = CONDEMNS
    assert edge.answer(EAST) == Answer(ENTRIES[EAST], 20)
    edge.said[EAST, EAST] = CONDEMNS
    assert edge.answer(EAST) == Answer(ENTRIES[WEST], 20)


def test_a_planned_move_changes_the_weights_of_one_regions_users(edge: Edge, cloud: Cloud) -> None:
    route53 = cloud.client("route53")
    records = route53.list_resource_record_sets(HostedZoneId=edge.zone)["ResourceRecordSets"]
    before = [each for each in records if each["Name"] == f"{EAST}.{NAME}."]
    try:
        changes = [
            {"Action": "UPSERT", "ResourceRecordSet": {**each, "Weight": 51 if each["SetIdentifier"] == WEST else 204}}
            for each in before
        ]
        route53.change_resource_record_sets(HostedZoneId=edge.zone, ChangeBatch={"Changes": changes})
        found = [edge.answer(EAST, draw=number / 10) for number in range(10)]
        assert [each.host for each in found if each].count(ENTRIES[WEST]) == 2
        assert edge.answer(WEST) == Answer(ENTRIES[WEST], 20)
        edge.doors[WEST] = False  # in mid-move its goal is gone
        assert {edge.answer(EAST, draw=number / 10) for number in range(10)} == {Answer(ENTRIES[EAST], 20)}
    finally:
        changes = [{"Action": "UPSERT", "ResourceRecordSet": each} for each in before]
        route53.change_resource_record_sets(HostedZoneId=edge.zone, ChangeBatch={"Changes": changes})


def test_by_continent_all_others_are_the_default_regions(cloud: Cloud) -> None:
    edge = Edge(cloud, Policy="geolocation", DefaultRegion="second")
    answers = {where: edge.answer(continent=where) for where in ("NA", "EU", "AS")}
    assert {where: found.host for where, found in answers.items() if found} == {
        "NA": ENTRIES[EAST], "EU": ENTRIES[WEST], "AS": ENTRIES[WEST],
    }  # fmt: skip
    edge.doors[EAST] = False
    assert edge.answer(continent="NA") == Answer(ENTRIES[WEST], 20)
    edge.doors.update({EAST: True, WEST: False})
    assert edge.answer(continent="AS") == Answer(ENTRIES[EAST], 20)


def test_an_alias_has_the_load_balancers_own_ttl(cloud: Cloud) -> None:
    edge = Edge(cloud, RecordKind="alias", FirstEntryZoneId="Z35SXDOTRQ7X7K", SecondEntryZoneId="Z1H1FL5HABSF5")
    assert edge.answer(EAST) == Answer(ENTRIES[EAST], 60)


def test_a_stack_that_is_deleted_leaves_no_record(cloud: Cloud) -> None:
    edge = Edge(cloud, Policy="geolocation", DefaultRegion="first")
    before = len(edge.configs)
    cloud.client("cloudformation").delete_stack(StackName=edge.stack)
    assert edge.answer() is None
    assert before - len(edge.configs) == 12


def test_an_endpoint_is_believed_after_so_many_results_in_a_row() -> None:
    observed = Observed(threshold=3)
    for passed, known in ((False, True), (False, True), (True, True), (False, True), (False, True), (False, False)):
        observed.take(passed=passed)
        assert observed.passes is known


def test_the_checks_that_ask_are_those_with_an_endpoint(edge: Edge) -> None:
    mine = [check for check in watched(edge.configs) if edge.configs[check]["Type"] == "HTTPS"]
    assert {edge.configs[check]["RequestInterval"] for check in mine} == {10}
    by_host = {edge.configs[check]["FullyQualifiedDomainName"]: edge.configs[check] for check in mine}
    assert (by_host[HOSTS[EAST]]["FailureThreshold"], by_host[ENTRIES[EAST]]["FailureThreshold"]) == (1, 3)
