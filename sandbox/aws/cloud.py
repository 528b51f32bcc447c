"""AWS on this machine: moto's backends in this process and behind a server on loopback, with every seam in place.

One `Cloud` a process, with the Regions that it is asked for. What is deployed to it is what `sam deploy` deploys;
nothing in it reaches a real account.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from unittest import mock

from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.server import ThreadedMotoServer
from moto.ssm.models import Parameter, ssm_backends

from sandbox.aws import (
    authorization,
    auto_scaling,
    bucket_policies,
    checksums,
    consumption,
    dispatch,
    events,
    execution,
    faults,
    function_urls,
    global_tables,
    load_balancing,
    monitoring,
    name_service,
    network,
    replication,
    resources,
    run_command,
    service_quotas,
    ssm,
    statemachines,
    streams,
    tables,
    templates,
)
from sandbox.aws.latency import Latencies, LatencyInjector
from sandbox.aws.roles import RoleClients
from sandbox.aws.sessions import new_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

# What stands for the layers that `sam build` builds. The dependencies are in the worker's interpreter already: the
# same pinned packages, in .venv-runtime.
BUILT_LAYERS: Final[Mapping[str, Path | None]] = {
    "StandfastLayer": Path("layers/standfast"),
    "DependenciesLayer": None,
}
# What most handlers import of other people's.
LIBRARIES: Final = ("boto3", "httpx", "pydantic")
# The image parameter that infrastructure/gpu-cluster.yaml reads: AWS publishes it, moto does not.
DEEP_LEARNING_IMAGE: Final = (
    "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id"
)
_MOTO: Final = {"stepfunctions": {"execute_state_machine": True}, "iam": {"load_aws_managed_policies": True}}


class Cloud:
    """A context manager. Where no Region is named, the first of `regions` is meant.

    `runtime_python`: the interpreter of the workers; it holds what a Lambda holds, no more. `layers`: what stands for
    those that `sam build` builds, see `templates.expand`. `libraries`: see `ExecutionEnvironments`.
    `on_log` is called with the Region, the name of a function and each line that it writes.
    """

    def __init__(
        self,
        *,
        regions: Sequence[str] = ("us-east-1",),
        latencies: Latencies | None = None,
        seed: int = 0,
        log_directory: Path,
        runtime_python: Path,
        layers: Mapping[str, Path | None] = BUILT_LAYERS,
        libraries: Sequence[str] = LIBRARIES,
        on_log: Callable[[str, str, str], None] | None = None,
    ) -> None:
        self._layers = layers
        self.regions = tuple(regions)
        self.latency = LatencyInjector(latencies or Latencies(), seed=seed)
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()
        self.faults = faults.Faults()
        self.network = network.Network(regions, log_directory.parent / "name-server")
        self._authorizer = authorization.Authorizer(self.latency, self.faults)
        self.replication = replication.Replication(self._authorizer)
        log_directory.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, _fake_environment(self.regions[0]), clear=True))
            stack.enter_context(mock_aws(config=_MOTO))
            stack.callback(load_balancing.reset)
            stack.callback(function_urls.install(self.network))
            stack.callback(function_urls.close)
            stack.callback(global_tables.reset)
            for talkative in ("werkzeug", "moto"):  # a line a request, a stack a failed state
                logging.getLogger(talkative).setLevel(logging.CRITICAL)
            self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
            self._server.start()
            stack.callback(self._server.stop)
            host, port = self._server.get_host_and_port()
            self.endpoint_url = f"http://{host}:{port}"
            self._install_seams()
            self.monitoring = monitoring.Monitoring(is_lost=self.network.is_lost)
            stack.callback(self.monitoring.close)
            self.environments = execution.ExecutionEnvironments(
                endpoint_url=self.endpoint_url,
                python=runtime_python,
                log_directory=log_directory,
                cache_directory=log_directory.parent / "code",
                on_log=on_log,
                monitor=self.monitoring.hear,
                network=self.network,
                libraries=libraries,
            )
            targets = events.Targets(self.network)
            self.names = name_service.NameService(self.network, self.latency)
            self.run_command = run_command.RunCommand(self.latency)
            self.auto_scaling = auto_scaling.AutoScaling(self.latency)
            self.service_quotas = service_quotas.ServiceQuotas()
            self.ticker = events.Ticker(self.regions, targets, self.network)
            self.streams = streams.Streams(self.environments, RoleClients("event-source-mapping"))
            told = events.put_execution_status(self.regions)
            for take_back in (
                dispatch.install(),
                checksums.install(),
                self.replication.install(),
                authorization.install(self._authorizer),
                bucket_policies.install(),
                faults.install(self.faults, self.network, self.latency),
                execution.install(self.environments),
                self.streams.install(),
                statemachines.install(self.latency, told, self.network),
                events.install(targets),
                ssm.install(self.run_command),
                self.auto_scaling.install(),
                self.service_quotas.install(),
                self.names.install(),
                self.run_command.close,
                self.network.close,
                statemachines.stop_executions,
                self.streams.close,
                self.environments.close,
                targets.close,
                self.names.close,
                self.ticker.stop,
            ):
                stack.callback(take_back)
            self._session: Any = new_session()
            for region in self.regions:
                self.client("s3", region).create_bucket(Bucket=_artefacts(region), **_location(region))
                self._publish_image(region)
            self._open = stack.pop_all()

    def client(self, service: str, region: str | None = None) -> Any:
        """An administrator's client in this process: subject to no role and no latency. Safe to share by threads."""
        key = (service, region or self.regions[0])
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._session.client(service, region_name=key[1])
            return self._clients[key]

    def deploy(
        self,
        stack_name: str,
        template: Path,
        parameters: Mapping[str, str],
        *,
        region: str | None = None,
        layers: Mapping[str, Path | None] | None = None,
    ) -> dict[str, str]:
        """Creates or updates a Region's stack from a template, SAM or not, and gives its outputs.

        `layers`: what stands for the layers that `sam build` builds, see `templates.expand`. Raises what
        `templates.deploy` raises: everything that is not consumed, or that failed, by name.
        """
        there = region or self.regions[0]
        client = partial(self.client, region=there)
        return templates.deploy(
            client, stack_name, template, parameters, bucket=_artefacts(there), layers=layers or self._layers
        )

    def denials(self) -> tuple[authorization.Denial, ...]:
        """Every call of a role that its policies do not allow, so far."""
        return self._authorizer.denials()

    def forgive(self, role: str) -> None:
        """Forget the denials of a role: a test provoked them."""
        self._authorizer.forgive(role)

    def isolate(self, region: str) -> None:
        """Cut a Region off from the others: of global tables it reads, eventually, what it knew last."""
        global_tables.isolate(region)

    def rejoin(self, region: str) -> None:
        """Join it again."""
        global_tables.rejoin(region)

    def close(self) -> None:
        """Ends workers, ticker and server, and forgets everything. May be called again."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def _install_seams(self) -> None:
        tables.install()
        load_balancing.install(injector=self.latency)
        resources.install(consumption.TYPES.values())

    def _publish_image(self, region: str) -> None:
        """Parameter Store refuses names that begin with /aws to everybody but AWS, so it goes round the API."""
        ec2 = self.client("ec2", region)
        image = ec2.register_image(Name="deep-learning-base", RootDeviceName="/dev/sda1")["ImageId"]
        ssm_backends[DEFAULT_ACCOUNT_ID][region]._parameters[DEEP_LEARNING_IMAGE].append(
            Parameter(
                account_id=DEFAULT_ACCOUNT_ID, name=DEEP_LEARNING_IMAGE, value=image, parameter_type="String",
                description=None, allowed_pattern=None, keyid=None, last_modified_date=0.0, version=1,
                data_type="aws:ec2:image",
            )
        )  # fmt: skip


def _fake_environment(region: str) -> dict[str, str]:
    """This process's environment with no trace of a real account in it. `mock_aws` adds credentials that are none."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        # Else DynamoDB's endpoint holds the account id, which moto does not know.
        "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
    }


def _artefacts(region: str) -> str:
    """The bucket of a Region: names of buckets are global."""
    return f"sandbox-artefacts-{region}"


def _location(region: str) -> dict[str, Any]:
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
