"""The front door's process, with scripted targets behind it."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from sandbox.fleet.frontdoor import FrontDoor
from sandbox.fleet.routing import Routing, Rule, Target, TargetGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK = b"5\r\nhello\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class ScriptedTarget(socketserver.ThreadingTCPServer):
    """Answers its name, but /stream waits for `gate` midway, /die ends midway and /silent never answers."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.name = name
        self.healthy = True
        self.gate = threading.Event()
        self.left = threading.Event()
        self.requests: list[bytes] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def target(self) -> Target:
        return Target(f"i-{self.name}", "127.0.0.1", self.server_address[1])


class _Answer(socketserver.StreamRequestHandler):
    server: ScriptedTarget

    def handle(self) -> None:
        request = self._read_request()
        path = request.split(b" ")[1].decode()
        if path == "/health":
            self.wfile.write(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % (200 if self.server.healthy else 500))
            return
        self.server.requests.append(request)
        match path:
            case "/stream":
                self.wfile.write(STREAM + CHUNK)
                self.server.gate.wait(10)
                self.wfile.write(CHUNK + b"0\r\n\r\n")
            case "/die":
                self.wfile.write(STREAM + CHUNK)
            case "/silent":
                self.connection.recv(1)
                self.server.left.set()
            case "/nothing":
                pass
            case _:
                status = 418 if path == "/teapot" else 200
                name = self.server.name.encode()
                self.wfile.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%b" % (status, len(name), name))

    def _read_request(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.rfile.readline()
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        return head + self.rfile.read(length)


@pytest.fixture
def blue() -> Iterator[ScriptedTarget]:
    with ScriptedTarget("blue") as target:
        yield target
        target.gate.set()
        target.shutdown()


@pytest.fixture
def green() -> Iterator[ScriptedTarget]:
    with ScriptedTarget("green") as target:
        yield target
        target.gate.set()
        target.shutdown()


@pytest.fixture(scope="module")
def door() -> Iterator[FrontDoor]:
    with FrontDoor(idle_timeout_seconds=1.0) as door:
        yield door


@pytest.fixture(scope="module")
def client(door: FrontDoor) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=door.url, timeout=5, trust_env=False) as client:
        yield client


def group(arn: str, *targets: Target) -> TargetGroup:
    return TargetGroup(arn, targets, "/health", 0.05, 1.0, healthy_threshold=2, unhealthy_threshold=2)


def routing(weights: dict[str, int], *groups: TargetGroup) -> Routing:
    return Routing((Rule("rule", 100, None, (), weights),), {group.arn: group for group in groups})


def only(*targets: Target) -> Routing:
    return routing({"only": 1}, group("only", *targets))


def wait_until(condition: Callable[[], bool], within_seconds: float = 5.0) -> None:
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_request_reaches_its_target_whole_and_its_answer_comes_back(
    door: FrontDoor, client: httpx.Client, blue: ScriptedTarget
) -> None:
    door.apply(only(blue.target))
    answer = client.post("/v1/completions?x=1", content=b"a body", headers={"X-Request-Id": "7"})
    assert (answer.status_code, answer.text) == (200, "blue")
    (request,) = blue.requests
    assert request.startswith(b"POST /v1/completions?x=1 HTTP/1.1\r\n")
    assert b"x-request-id: 7\r\n" in request.lower()
    assert b"x-forwarded-for: 127.0.0.1\r\n" in request.lower()
    assert request.endswith(b"\r\n\r\na body")
    assert client.get("/teapot").status_code == 418


def test_one_connection_carries_many_requests(door: FrontDoor, client: httpx.Client, blue: ScriptedTarget) -> None:
    door.apply(only(blue.target))
    assert [client.get("/").text for _ in range(100)] == ["blue"] * 100


def test_a_routing_change_leaves_streams_under_way_alone(
    door: FrontDoor, client: httpx.Client, blue: ScriptedTarget, green: ScriptedTarget
) -> None:
    door.apply(routing({"blue": 1, "green": 0}, group("blue", blue.target), group("green", green.target)))
    with client.stream("GET", "/stream") as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"hello"
        door.apply(routing({"green": 1}, group("green", green.target)))
        assert client.get("/").text == "green"
        blue.gate.set()
        assert b"".join(pieces) == b"hello"


def test_a_stream_whose_target_dies_has_no_clean_end(
    door: FrontDoor, client: httpx.Client, blue: ScriptedTarget
) -> None:
    door.apply(routing({"dying": 1}, group("dying", blue.target)))
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/die")
    assert door.counters().groups["dying"].cut == 1
    assert door.counters().groups["dying"].target_2xx == 1


def test_a_target_that_refuses_is_502_and_nothing_is_tried_twice(
    door: FrontDoor, client: httpx.Client, blue: ScriptedTarget
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        gone = Target("i-gone", "127.0.0.1", free.getsockname()[1])
    door.apply(routing({"half": 1}, group("half", gone, blue.target)))
    wait_until(lambda: door.health()["half", "i-blue", blue.target.port] == "healthy")
    wait_until(lambda: door.health()["half", "i-gone", gone.port] == "unhealthy")
    assert {client.get("/").status_code for _ in range(6)} == {200}
    blue.healthy = False
    wait_until(lambda: set(door.health().values()) == {"unhealthy"})
    assert sorted(client.get("/").status_code for _ in range(6)) == [200] * 3 + [502] * 3  # it fails open
    counts = door.counters().groups["half"]
    assert (counts.requests, counts.target_2xx, counts.elb_5xx, counts.connection_errors) == (12, 9, 3, 3)


def test_a_target_that_sends_nothing_is_502_and_a_silent_one_504(
    door: FrontDoor, client: httpx.Client, blue: ScriptedTarget
) -> None:
    door.apply(only(blue.target))
    assert client.get("/nothing").status_code == 502
    assert client.get("/silent").status_code == 504
    assert blue.left.wait(5)


def test_a_silent_target_is_left_when_the_client_leaves(blue: ScriptedTarget) -> None:
    with FrontDoor() as patient:
        patient.apply(routing({"left": 1}, group("left", blue.target)))
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{patient.url}/silent", timeout=0.2, trust_env=False)
        assert blue.left.wait(5)
        wait_until(lambda: patient.counters().groups["left"].client_closed == 1)


def test_an_empty_group_is_503_and_no_rule_404(door: FrontDoor, client: httpx.Client) -> None:
    before = door.counters().elb_status
    door.apply(routing({"empty": 1}, group("empty")))
    assert client.get("/").status_code == 503
    door.apply(Routing())
    assert client.get("/").status_code == 404
    after = door.counters().elb_status
    assert (door.counters().groups["empty"].requests, door.counters().groups["empty"].elb_5xx) == (0, 1)
    assert [after[status] - before.get(status, 0) for status in (503, 404)] == [1, 1]


def test_nonsense_is_answered_400(door: FrontDoor) -> None:
    address, port = door.url.removeprefix("http://").split(":")
    with socket.create_connection((address, int(port)), timeout=5) as connection:
        connection.sendall(b"what is this?\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 400 ")


def test_a_target_is_initial_then_healthy_then_unhealthy_and_back(door: FrontDoor, blue: ScriptedTarget) -> None:
    key = ("checked", "i-blue", blue.target.port)
    door.apply(routing({}, group("checked", blue.target)))
    wait_until(lambda: door.health()[key] == "healthy")
    blue.healthy = False
    wait_until(lambda: door.health()[key] == "unhealthy")
    door.apply(routing({"checked": 1}, group("checked", blue.target)))
    assert door.health()[key] == "unhealthy"  # a routing change does not forget
    blue.healthy = True
    wait_until(lambda: door.health()[key] == "healthy")
    door.apply(Routing())
    assert door.health() == {}


def test_a_closed_door_leaves_its_port_free_and_says_that_it_is_closed() -> None:
    door = FrontDoor()
    address, port = door.url.removeprefix("http://").split(":")
    door.close()
    door.close()
    socket.create_server((address, int(port))).close()
    with pytest.raises(ConnectionError):
        door.apply(Routing())
