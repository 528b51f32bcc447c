"""Route 53 in time: how long until users are led elsewhere, and what each client goes on to believe."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from sandbox.aws.cloud import Cloud
from sandbox.aws.latency import Latencies
from sandbox.aws.name_service import CHECKERS, NameService
from sandbox.fleet.clients import Resolver
from sandbox.fleet.load import Plan
from standfast.aws.route53_switch import Route53Switch

ROOT = Path(__file__).resolve().parents[2]
EAST, WEST, OHIO = "us-east-1", "us-west-2", "us-east-2"
NAME = "llm.standfast.test"
STATUS_SECONDS, CHANGE_SECONDS = 2.0, 30.0
HOSTS = {"east.elb": EAST, "west.elb": WEST, "east.url": EAST, "west.url": WEST, "ohio.url": OHIO}


@dataclass
class Answers:
    """What each endpoint answers, by host and path: 200 at the entries, 404 of a Region that nobody condemns."""

    status: dict[str, int] = field(default_factory=dict)

    def of(self, host: str, path: str) -> int:
        usual = 200 if path == "/health" else 404
        return self.status.get(f"{host}{path}", self.status.get(host, usual))


class Edge:
    """Route 53 by a clock of the test's own."""

    def __init__(self, cloud: Cloud, answers: Answers, urls: dict[str, str]) -> None:
        self.now = 1_000_000.0
        self.answers = answers
        self.names = NameService(cloud.network, cloud.latency, clock=lambda: self.now)
        for host, url in urls.items():
            self.names.lead(host, url, HOSTS[host])

    def led_to(self, region: str = EAST) -> str:
        found = self.names.resolve(NAME, region=region)
        return found.region if found else ""

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            for asked in self.names.tick():
                asked.result()
            self.now += 0.5

    def seconds_until(self, region: str, limit: float = 90.0) -> float:
        """How long until the East's users are led there."""
        began = self.now
        while self.led_to() != region:
            assert self.now < began + limit
            self.run(0.5)
        return self.now - began


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(
        regions=(EAST, WEST, OHIO),
        latencies=Latencies(route53_status=STATUS_SECONDS, route53_change=CHANGE_SECONDS),
        log_directory=tmp_path_factory.mktemp("cloud") / "logs",
        runtime_python=ROOT / ".venv-runtime" / "bin" / "python",
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def zone(cloud: Cloud) -> str:
    made = cloud.client("route53").create_hosted_zone(Name="standfast.test", CallerReference="1")["HostedZone"]["Id"]
    hosts = {"FirstEntryName": "east.elb", "SecondEntryName": "west.elb", "FirstVerdictHost": "east.url",
             "SecondVerdictHost": "west.url", "WatcherVerdictHost": "ohio.url"}  # fmt: skip
    zone = str(made.rpartition("/")[2])
    template = ROOT / "infrastructure" / "global-routing.yaml"
    cloud.deploy("routing", template, {"HostedZoneId": zone, "Name": NAME, **hosts})
    return zone


@pytest.fixture(scope="module")
def answers() -> Answers:
    return Answers()


@pytest.fixture(scope="module")
def urls(answers: Answers) -> Iterator[dict[str, str]]:
    """A small server for each endpoint."""
    servers = {host: ThreadingHTTPServer(("127.0.0.1", 0), _endpoint(host, answers)) for host in HOSTS}
    for server in servers.values():
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
    yield {host: f"http://127.0.0.1:{server.server_address[1]}" for host, server in servers.items()}
    for server in servers.values():
        server.shutdown()
        server.server_close()


def _endpoint(host: str, answers: Answers) -> type[BaseHTTPRequestHandler]:
    def respond(self: BaseHTTPRequestHandler) -> None:
        self.send_response(answers.of(host, self.path))
        self.send_header("Content-Length", "0")
        self.end_headers()

    return type("Endpoint", (BaseHTTPRequestHandler,), {"do_GET": respond, "log_message": lambda *_: None})


@pytest.fixture
def edge(cloud: Cloud, zone: str, answers: Answers, urls: dict[str, str]) -> Iterator[Edge]:
    answers.status.clear()
    made = Edge(cloud, answers, urls)
    take_back = made.names.install()
    made.run(15.0)
    yield made
    take_back()
    made.names.close()


def test_users_are_led_to_their_own_region(edge: Edge) -> None:
    assert [edge.led_to(region) for region in (EAST, WEST, OHIO)] == [EAST, WEST, EAST]


def test_a_shut_front_door_is_left_after_three_failures_of_every_checker(edge: Edge) -> None:
    edge.answers.status["east.elb"] = 502
    assert 20.0 + STATUS_SECONDS <= edge.seconds_until(WEST) <= 30.0 + STATUS_SECONDS + 1.0


def test_a_condemned_region_is_left_as_soon_as_one_checker_of_each_voice_has_asked(edge: Edge) -> None:
    edge.answers.status |= {f"{host}/condemned/{EAST}": 200 for host in ("west.url", "ohio.url")}
    assert edge.seconds_until(WEST) <= 10.0 / CHECKERS + STATUS_SECONDS + 1.0
    assert edge.led_to(WEST) == WEST


def test_a_region_that_is_not_condemned_any_more_waits_until_every_checker_says_so(edge: Edge) -> None:
    voices = {f"{host}/condemned/{EAST}": 200 for host in ("west.url", "ohio.url")}
    edge.answers.status |= voices
    edge.seconds_until(WEST)
    edge.run(12.0)
    edge.answers.status.clear()
    assert 5.0 <= edge.seconds_until(EAST) <= 10.0 + STATUS_SECONDS + 1.0


@pytest.mark.parametrize("status", [429, 500, 502])
def test_endpoints_under_a_flood_move_nobody(edge: Edge, status: int) -> None:
    edge.answers.status |= dict.fromkeys(("east.url", "west.url", "ohio.url"), status)
    edge.run(60.0)
    assert edge.led_to() == EAST
    assert [change for change in edge.names.status_changes() if not change.healthy] == []


def test_one_failure_of_the_front_door_moves_nobody(edge: Edge) -> None:
    edge.answers.status["east.elb"] = 502
    edge.run(15.0)
    edge.answers.status.clear()
    edge.run(30.0)
    assert [change for change in edge.names.status_changes() if not change.healthy] == []


def test_a_planned_move_is_settled_when_the_name_servers_have_it(edge: Edge, cloud: Cloud, zone: str) -> None:
    switch = Route53Switch(zone, NAME, lambda _: {}, cloud.client("route53"))
    change = switch.write_weights(EAST, {EAST: 0, WEST: 255})
    try:
        edge.run(CHANGE_SECONDS - 1.0)
        assert (edge.led_to(), switch.is_settled(change)) == (EAST, False)
        edge.run(2.0)
        assert (edge.led_to(), switch.is_settled(change)) == (WEST, True)
    finally:
        switch.write_weights(EAST, {EAST: 255, WEST: 0})


def test_a_client_believes_an_answer_for_its_ttl_and_no_longer(
    edge: Edge, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(region=EAST)
    resolver, asked = Resolver("http://127.0.0.1:9", plan), []

    async def ask(_: Resolver, name: str) -> dict[str, Any]:
        found = edge.names.resolve(name, region=plan.region)
        assert found is not None
        asked.append(found.ttl)
        return {"address": found.address, "port": found.port, "ttl": found.ttl, "region": found.region, "seconds": 0.0}

    async def led() -> list[str]:
        loop, where = asyncio.get_running_loop(), []
        for moment in (0.0, 25.0, 44.0, 46.0):
            monkeypatch.setattr(loop, "time", lambda moment=moment: moment)
            where.append((await resolver.address(0, NAME)).region)
            if moment == 25.0:
                edge.answers.status["east.elb"] = 502
                edge.run(40.0)
        monkeypatch.undo()
        return where

    monkeypatch.setattr(Resolver, "_ask", ask)
    monkeypatch.setattr(asyncio, "wait_for", lambda asking, _: asking)
    assert asyncio.run(led()) == [EAST, EAST, EAST, WEST]
    assert asked == [20.0, 20.0, 20.0]


def test_the_name_server_answers_a_process_and_tells_it_how_far_it_is(cloud: Cloud, zone: str, edge: Edge) -> None:
    edge.names.start()
    edge.run(0.5)
    with httpx.Client(trust_env=False) as client:
        near = client.get(f"{edge.names.url}/resolve", params={"name": NAME, "region": EAST})
        far = client.get(f"{edge.names.url}/resolve", params={"name": NAME, "region": OHIO})
        unknown = client.get(f"{edge.names.url}/resolve", params={"name": "else.standfast.test", "region": EAST})
    assert (near.json()["region"], near.json()["seconds"], far.json()["seconds"] > 0) == (EAST, 0.0, True)
    assert (unknown.status_code, json.loads(unknown.text)) == (404, {})
