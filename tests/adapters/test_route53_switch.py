"""The switch between Regions on Route 53, by moto's records, and the endpoints' voices."""

from __future__ import annotations

from typing import Any

import boto3
import httpx
import pytest
from botocore.stub import Stubber

from standfast.aws.route53_switch import Route53Switch
from standfast.errors import AccessDeniedError, InvalidInputError, ThrottledError
from standfast.probes import verdicts
from standfast.region_ports import Voice
from tests.region_builders import EAST, WATCHER, WEST

NAME = "llm.example.com"


@pytest.fixture(scope="module")
def route53(aws: str) -> Any:
    return boto3.client("route53", region_name=aws)


@pytest.fixture
def zone(route53: Any, request: pytest.FixtureRequest) -> str:
    """A zone with the nested records of two Regions, and others that are none of ours."""
    made = route53.create_hosted_zone(Name="example.com", CallerReference=request.node.name)["HostedZone"]["Id"]
    records = [
        {"Name": f"{users}.{NAME}", "Type": "CNAME", "SetIdentifier": to, "Weight": 255 * (users == to), "TTL": 20,
         "HealthCheckId": f"check-of-{to}", "ResourceRecords": [{"Value": f"{to}.elb.test"}]}
        for users in (EAST, WEST)
        for to in (EAST, WEST)
    ]  # fmt: skip
    records.append({"Name": "www.example.com", "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": "else.test"}]})
    changes = [{"Action": "CREATE", "ResourceRecordSet": record} for record in records]
    route53.change_resource_record_sets(HostedZoneId=made, ChangeBatch={"Changes": changes})
    return str(made.rpartition("/")[2])


def switch(zone: str, route53: Any) -> Route53Switch:
    return Route53Switch(zone, NAME, lambda _region: {EAST: Voice.SILENT}, route53)


def test_it_reads_whose_users_are_sent_where(zone: str, route53: Any) -> None:
    assert switch(zone, route53).read_weights() == {EAST: {EAST: 255, WEST: 0}, WEST: {WEST: 255, EAST: 0}}


def test_a_write_changes_the_weights_of_one_regions_users_and_nothing_else_of_their_records(
    zone: str, route53: Any
) -> None:
    edge = switch(zone, route53)
    change = edge.write_weights(EAST, {EAST: 204, WEST: 51})
    assert edge.is_settled(change)
    assert edge.read_weights() == {EAST: {EAST: 204, WEST: 51}, WEST: {WEST: 255, EAST: 0}}
    records = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    (moved,) = (each for each in records if each["Name"].startswith(EAST) and each["SetIdentifier"] == WEST)
    assert (moved["HealthCheckId"], moved["TTL"], moved["ResourceRecords"]) == (
        f"check-of-{WEST}", 20, [{"Value": f"{WEST}.elb.test"}],
    )  # fmt: skip


def test_a_write_that_is_repeated_changes_nothing(zone: str, route53: Any) -> None:
    edge = switch(zone, route53)
    edge.write_weights(EAST, {EAST: 0, WEST: 255})
    assert edge.write_weights(EAST, {EAST: 0, WEST: 255}) == ""
    assert edge.is_settled("")


@pytest.mark.parametrize(
    ("region", "weights", "words"),
    [
        (EAST, {WATCHER: 255}, "us-east-1.llm.example.com has no record for us-east-2 (it has us-east-1, us-west-2)"),
        ("eu-west-1", {EAST: 255}, "eu-west-1.llm.example.com has no record for us-east-1 (it has none)"),
        (EAST, {EAST: 256}, "are not between 0 and 255"),
    ],
)
def test_weights_that_the_records_do_not_have_are_refused_and_nothing_is_written(
    zone: str, route53: Any, region: str, weights: dict[str, int], words: str
) -> None:
    edge = switch(zone, route53)
    before = edge.read_weights()
    with pytest.raises(InvalidInputError) as refused:
        edge.write_weights(region, weights)
    assert words in str(refused.value)
    assert edge.read_weights() == before


@pytest.mark.parametrize(("code", "error"), [("AccessDenied", AccessDeniedError), ("Throttling", ThrottledError)])
def test_refusals_of_the_control_plane_are_errors_of_ours(route53: Any, code: str, error: type[Exception]) -> None:
    with Stubber(route53) as stub:
        stub.add_client_error("list_resource_record_sets", code)
        with pytest.raises(error):
            switch("Z1", route53).read_weights()


def test_only_an_explicit_200_condemns() -> None:
    answers = {"east": 200, "west": 404, "watcher": 429}

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/condemned/us-east-1"
        if request.url.host == "gone":
            raise httpx.ConnectTimeout("nobody there")
        return httpx.Response(answers[request.url.host])

    endpoints = {
        EAST: "http://east/",
        WEST: "http://west",
        WATCHER: "http://watcher",
        "eu-west-1": "",
        "other": "http://gone",
    }
    assert verdicts.ask(endpoints, EAST, transport=httpx.MockTransport(answer)) == {
        EAST: Voice.CONDEMNS, WEST: Voice.ABSTAINS, WATCHER: Voice.ABSTAINS,
        "eu-west-1": Voice.SILENT, "other": Voice.SILENT,
    }  # fmt: skip
