"""Route 53 in real time: health checkers that ask, and a name server that answers by what they found.

The checks and records are those that the templates deployed, the rules are in `route53`. Here is what takes time: each
checker asks every `RequestInterval` seconds; what it finds reaches the name servers a moment later, and so does a
change of records (GetChange says PENDING until then). The data plane outlives every Region; the control plane, which is
moto's API, is in us-east-1.

The sandbox has no DNS and no TLS: where a name of AWS's leads (a load balancer's, a function URL's) `lead` tells.
"""

from __future__ import annotations

import http.client
import json
import logging
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from moto.core import DEFAULT_ACCOUNT_ID
from moto.route53.models import Route53Backend, route53_backends
from moto.route53.responses import Route53

from sandbox.aws.network import ROUND_TRIPS
from sandbox.aws.route53 import Answer, Endpoint, Observed, Zone, distance, is_healthy, watched
from sandbox.aws.sessions import new_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.aws.latency import LatencyInjector
    from sandbox.aws.network import Network

CHECKERS: Final = 3
"""Route 53 has some sixteen for each check. Of three, spread over the interval, one is more than 18 %."""
CONNECT_SECONDS: Final = 4.0
ANSWER_SECONDS: Final = 2.0
"""What a checker waits for the connection, and for the answer after it (Developer Guide)."""
_TICK_SECONDS: Final = 0.1
_MOST_CHECKS: Final = "100"
_GOOD: Final = range(200, 400)

logger = logging.getLogger("sandbox.names")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name of AWS's leads here, and the Region that it is in."""

    url: str
    region: str


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A health check's new status, as the name servers answer by it from then on."""

    at: float
    check: str
    healthy: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a resolver is told: an address here, how long it may be believed, and how far it is to that Region."""

    address: str
    port: int
    ttl: float
    region: str
    seconds: float
    host: str


class NameService:
    """Nothing is asked before `start`. Safe to use from several threads.

    `clock` gives seconds of the epoch. Its tests call `tick` and never `start`.
    """

    def __init__(
        self,
        network: Network,
        injector: LatencyInjector,
        *,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._network = network
        self._latencies = injector.latencies
        self._random = random.Random(seed)
        self._client: Any = new_session().client("route53", region_name="us-east-1")
        self._lock = threading.RLock()
        self._places: dict[str, Place] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._due: dict[tuple[str, int], float] = {}
        self._configs: dict[str, dict[str, Any]] = {}
        self._records: list[Mapping[str, Any]] = []
        self._told: dict[str, bool] = {}
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._settled_at: dict[str, float] = {}
        self._is_stale = True
        self._changes: list[StatusChange] = []
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._server: ThreadingHTTPServer | None = None
        self._pool = ThreadPoolExecutor(24, thread_name_prefix="health checkers")

    @property
    def url(self) -> str:
        """Where `GET /resolve?name=...&region=...` is answered, after `start`."""
        if self._server is None:
            raise RuntimeError("the name server has not been started")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def lead(self, host: str, url: str, region: str) -> None:
        """Let a name of AWS's lead to this URL, in this Region."""
        with self._lock:
            self._places[host.rstrip(".")] = Place(url, region)

    def start(self) -> None:
        """Begin to ask and to answer. Does nothing when it has begun."""
        if self._thread is not None:
            return
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="name server", daemon=True).start()
        if self._network.names is not None:
            self._network.names.write_text(self.url.removeprefix("http://"))
        self._thread = threading.Thread(target=self._run, name="Route 53", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End. May be called again."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def is_healthy(self, check: str) -> bool:
        """What the name servers take a health check for. Raises KeyError where there is none of that id."""
        with self._lock:
            return is_healthy(check, self._configs, lambda each: self._told.get(each, True))

    def status_changes(self) -> tuple[StatusChange, ...]:
        """Every change of a check's status so far, calculated ones too."""
        with self._lock:
            return tuple(self._changes)

    def answer(self, name: str, *, region: str, continent: str = "NA") -> Answer | None:
        """What a resolver in this Region and continent is told; None where there is no such name."""
        with self._lock:
            zone = Zone(self._records, self._serves)
            return zone.answer(name, region=region, continent=continent, draw=self._random.random())

    def resolve(self, name: str, *, region: str, continent: str = "NA") -> Found | None:
        """The same as an address of this machine."""
        answer = self.answer(name, region=region, continent=continent)
        with self._lock:
            place = None if answer is None else self._places.get(answer.host)
        if answer is None or place is None:
            return None
        parts = urlsplit(place.url)
        seconds = ROUND_TRIPS * distance(region, place.region) / 1000 * self._latencies.distance
        return Found(str(parts.hostname), int(parts.port or 80), answer.ttl, place.region, seconds, answer.host)

    def install(self) -> Callable[[], None]:
        """Have a change of records take its time, and GetChange say so. The result takes it back."""
        change, response, get_change = (
            Route53Backend.change_resource_record_sets, Route53.change_resource_record_sets, Route53.get_change,
        )  # fmt: skip
        names = self

        def changed(self: Any, zone: str, changes: list[dict[str, Any]]) -> None:
            change(self, zone, changes)
            names._is_stale = True

        def answered(self: Any) -> Any:
            result = response(self)
            result.result["ChangeInfo"] |= names._begun()
            return result

        def described(self: Any) -> Any:
            result = get_change(self)
            settled_at = names._settled_at.get(str(self._get_param("Id")).rpartition("/")[2], 0.0)
            result.result["ChangeInfo"]["Status"] = "PENDING" if names._clock() < settled_at else "INSYNC"
            return result

        Route53Backend.change_resource_record_sets = changed
        Route53.change_resource_record_sets, Route53.get_change = answered, described

        def take_back() -> None:
            Route53Backend.change_resource_record_sets = change
            Route53.change_resource_record_sets, Route53.get_change = response, get_change

        return take_back

    def _begun(self) -> dict[str, str]:
        """The id of a change that was accepted now, and its status."""
        with self._lock:
            name = f"C{len(self._settled_at) + 1:012}"
            self._settled_at[name] = self._clock() + self._latencies.route53_change
        return {"Id": f"/change/{name}", "Status": "PENDING" if self._latencies.route53_change else "INSYNC"}

    def _serves(self, check: str) -> bool:
        return check not in self._configs or self.is_healthy(check)

    def _run(self) -> None:
        while not self._ended.wait(_TICK_SECONDS):
            try:
                self.tick()
            except Exception:  # whatever it is: nobody would be moved again, and nobody would notice
                logger.exception("Route 53 stumbled")

    def tick(self) -> Sequence[Future[None]]:
        """Do what is due, and answer what is being asked now."""
        now = self._clock()
        if self._is_stale:
            self._is_stale = False
            self._read(now)
        with self._lock:
            due = [act for at, act in self._later if at <= now]
            self._later = [(at, act) for at, act in self._later if at > now]
            for act in due:
                act()
        asked: list[Future[None]] = []
        checks = watched(self._configs)
        for place, check in enumerate(checks):
            config = self._configs[check]
            interval = float(config["RequestInterval"])
            for number in range(CHECKERS):  # each has its own moment in the interval
                first = now + interval * (number + place / len(checks)) / CHECKERS
                if now >= self._due.setdefault((check, number), first):
                    self._due[check, number] += interval
                    asked.append(self._pool.submit(self._ask, check, number, config))
        return asked

    def _read(self, now: float) -> None:
        """What the control plane holds now: the name servers have it later, the first time at once."""
        checks = self._client.list_health_checks(MaxItems=_MOST_CHECKS)["HealthChecks"]
        configs = {check["Id"]: check["HealthCheckConfig"] for check in checks}
        zones = list(route53_backends[DEFAULT_ACCOUNT_ID]["aws"].zones)
        records = [
            record
            for zone in zones
            for page in self._client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone)
            for record in page["ResourceRecordSets"]
        ]
        with self._lock:
            self._configs = configs
            for check in watched(configs):
                threshold = int(configs[check]["FailureThreshold"])
                new = Endpoint([Observed(threshold) for _ in range(CHECKERS)])
                self._endpoints.setdefault(check, new)
        after = self._latencies.route53_change if self._records else 0.0
        self._put_off(now + after, lambda: self._follow(records))

    def _follow(self, records: list[Mapping[str, Any]]) -> None:
        self._records = records

    def _ask(self, check: str, number: int, config: Mapping[str, Any]) -> None:
        """One checker asks once. Its connection is a user's to the network: it comes from outside."""
        with self._lock:
            place = self._places.get(str(config["FullyQualifiedDomainName"]))
        passed = place is not None and _is_good(place.url, str(config.get("ResourcePath", "/")))
        with self._lock:
            endpoint = self._endpoints[check]
            before = endpoint.passes
            endpoint.checkers[number].take(passed=passed)
            if endpoint.passes is not before or check not in self._told:
                passes = endpoint.passes
                self._put_off(self._clock() + self._latencies.route53_status, lambda: self._tell(check, passes=passes))

    def _tell(self, check: str, *, passes: bool) -> None:
        before = self._statuses()
        self._told[check] = passes
        now = self._clock()
        self._changes += [
            StatusChange(now, each, healthy)
            for each, healthy in self._statuses().items()
            if before[each] is not healthy
        ]

    def _statuses(self) -> dict[str, bool]:
        return {check: self.is_healthy(check) for check in self._configs}

    def _put_off(self, at: float, act: Callable[[], None]) -> None:
        with self._lock:
            self._later.append((at, act))


def _is_good(url: str, path: str) -> bool:
    """Whether an endpoint answers 2xx or 3xx in time."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=CONNECT_SECONDS)
    try:
        connection.connect()
        if connection.sock is not None:
            connection.sock.settimeout(ANSWER_SECONDS)
        connection.request("GET", path, headers={"User-Agent": "Amazon-Route53-Health-Check-Service"})
        return connection.getresponse().status in _GOOD
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _handler(names: NameService) -> type[BaseHTTPRequestHandler]:
    def respond(self: BaseHTTPRequestHandler) -> None:
        asked: Mapping[str, Sequence[str]] = parse_qs(urlsplit(self.path).query)
        region, continent = asked.get("region", [""])[0], asked.get("continent", ["NA"])[0]
        found = names.resolve(asked.get("name", [""])[0], region=region, continent=continent)
        content = b"{}" if found is None else json.dumps(
            {"address": found.address, "port": found.port, "ttl": found.ttl, "region": found.region,
             "seconds": found.seconds}
        ).encode()  # fmt: skip
        with suppress(ConnectionError):  # whoever asked is gone
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    silent: Callable[..., None] = lambda *_: None  # noqa: E731
    return type("NameServer", (BaseHTTPRequestHandler,), {"do_GET": respond, "log_message": silent})
