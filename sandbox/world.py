"""The whole sandbox: AWS with its Regions, the fleet in them, a watcher, and one FleetConfig for all."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Self

from sandbox.aws.cloud import LIBRARIES, Cloud
from sandbox.aws.latency import Latencies
from sandbox.control import ControlStack
from sandbox.fleet.models import tiny_model
from sandbox.global_name import GlobalName, create_zone
from sandbox.plan import FLEET, PLANS, PREFLIGHT, REGIONS, ROOT, SLOTS, WATCHER, SandboxError
from sandbox.region import SandboxRegion
from standfast.aws.region_table import RegionTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from standfast.brake import Switch
    from standfast.stores import Sight


CALM_SECONDS: Final = 8.0
"""A deployment holds the interpreter in which AWS answers for some seconds: calls that waited are answered first."""


class Sandbox:
    """Use it as a context manager: at its end nothing of it is left. One a process.

    `regions`: those of the fleet. With more than one there is a watcher, and the Regions share a table; one alone is
    what the workflow tests need, and quick. `regions` (by name) and `watcher` are there from the beginning. `built`: a
    folder of `sam build`, whose layers the functions then run with. `cold`: a function starts as a new interpreter,
    as on AWS. `slots`: requests that each replica serves at once.
    """

    def __init__(
        self,
        directory: Path,
        *,
        regions: Sequence[str] = REGIONS,
        latencies: Latencies | None = None,
        seed: int = 0,
        built: Path | None = None,
        cold: bool = False,
        slots: int = SLOTS,
        say: Callable[[str], None] = lambda _: None,
        on_log: Callable[[str, str, str], None] | None = None,
    ) -> None:
        self._say = say
        directory.mkdir(parents=True, exist_ok=True)
        self.model = tiny_model(1, ROOT / "build" / "models")
        watchers = (WATCHER,) if len(regions) > 1 else ()
        self.cloud = Cloud(
            regions=(*regions, *watchers),
            latencies=latencies or Latencies(),
            seed=seed,
            log_directory=directory / "logs",
            **_runtime(built, cold=cold),
            on_log=on_log,
        )
        self.regions = {
            name: SandboxRegion(self.cloud, PLANS[name], self.model, directory, seed=seed + number, slots=slots)
            for number, name in enumerate(regions)
        }
        self.watcher = ControlStack(self.cloud, WATCHER) if watchers else None
        self.hosted_zone_id = create_zone(self.cloud) if watchers else ""
        self.name: GlobalName | None = None

    @property
    def stacks(self) -> tuple[ControlStack, ...]:
        """Standfast's stacks, in the order in which they are deployed: the first one owns what is shared."""
        return (*self.regions.values(), *((self.watcher,) if self.watcher else ()))

    def start(self, *, automation: str = "run") -> Self:
        """Deploy everything and wait until all clusters are proven healthy. Says each step."""
        gc.disable()  # until there is something to collect: see below
        names = " and ".join(self.regions)
        self._say(f"deploying infrastructure/gpu-cluster.yaml twice and regional-entry.yaml in {names}")
        for region in self.regions.values():
            region.build()
        with ThreadPoolExecutor(thread_name_prefix="fleet") as pool:
            count = sum(sum(region.replicas.values()) for region in self.regions.values())
            self._say(f"starting {count} llama.cpp servers and a front door a Region")
            fleets = [pool.submit(region.start_fleet) for region in self.regions.values()]
            self._say(f"deploying template.yaml in {', '.join(stack.name for stack in self.stacks)}")
            for stack in self.stacks:
                stack.deploy(self.parameters(stack))
            for fleet in fleets:
                fleet.result()
        self._say("applying the FleetConfig; the watch begins")
        self.apply_config()
        with ThreadPoolExecutor(thread_name_prefix="begin") as pool:
            switch = pool.submit(self.set_switch, automation, "the sandbox begins")
            self._each(lambda region: region.invoke("discover-replicas", {}))
            switch.result()
        for name in self.regions:
            self.cloud.ticker.pause(PREFLIGHT, name)  # nothing is proven yet, so it would fail
        self.cloud.ticker.start()
        self._each(SandboxRegion.wait_until_ready)
        self._say("warming up: the first preflight in every Region")
        if self.watcher:  # Route 53 asks it all the time, and the watches do as soon as a Region looks bad
            self.cloud.environments.warm(f"{FLEET}-answer-condemned")
        self._each(SandboxRegion.warm_up)
        self.cloud.monitoring.start()  # now: the watch was silent before it began, and an alarm would say so
        # Half a million objects live until the end. To look through them takes the garbage collector half a second, in
        # which no API answers.
        gc.collect()
        gc.freeze()
        gc.enable()
        return self

    def start_load(self) -> None:
        """Clients in every Region."""
        self._each(SandboxRegion.start_load)

    def open_name(self, **parameters: str) -> GlobalName:
        """One name for all Regions from now on: `infrastructure/global-routing.yaml`, and users who ask for it.

        Returns once Route 53 finds that both Regions serve. `parameters` are the template's.
        """
        self._say("deploying infrastructure/global-routing.yaml; the health checkers begin")
        name = GlobalName(self.cloud, list(self.regions.values()), self.watcher, self.hosted_zone_id, parameters)
        self.name = name
        time.sleep(CALM_SECONDS)
        self.apply_config()
        self.stacks[0].wait_for("Route 53 to find that every Region serves", name.all_serve, 90.0)
        for region in self.regions.values():
            region.start_load(name.plan(region), name.url)
        return name

    def lose(self, region: str) -> None:
        """A Region is gone at once: its machines, its entry, its stack and AWS's own services in it."""
        self.cloud.network.lose(region)
        for cluster_id in self.regions[region].replicas if region in self.regions else ():
            self.regions[region].nodes.kill(cluster_id)

    def bring_back(self, region: str) -> None:
        """It is there again: what it holds is as it was, and its machines start."""
        for cluster_id in self.regions[region].replicas if region in self.regions else ():
            self.regions[region].nodes.revive(cluster_id)
        self.cloud.network.bring_back(region)

    def close(self) -> None:
        """End every process. May be called again."""
        self.cloud.close()
        for region in self.regions.values():
            region.close()
        gc.enable()
        gc.unfreeze()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What the team does

    def fleet_config(self) -> dict[str, Any]:
        """The FleetConfig of this fleet. What it does not name has the defaults."""
        return {
            "fleet": FLEET,
            "model": {"name": self.model.version, "engine": "llama.cpp"},
            "regions": {name: region.config() for name, region in self.regions.items()},
            # A scenario that is about recovery turns it on: elsewhere what was broken stays so until it is mended.
            "recovery": {"automatic": False},
            **({"watchers": [self.watcher.name]} if self.watcher else {}),
            **({"region_moves": {"global_url": self.name.url}} if self.name else {}),
        }

    def parameters(self, stack: ControlStack) -> dict[str, str]:
        """What a stack of Standfast is deployed with."""
        parameters = {"FleetName": FLEET, "Architecture": "arm64", "PrimaryRegion": self.stacks[0].name}
        if self.watcher:
            parameters["StateRegions"] = ",".join(each.name for each in self.stacks)
            parameters["HostedZoneId"] = self.hosted_zone_id
        if isinstance(stack, SandboxRegion):
            parameters["ListenerRuleArn"] = stack.rule_arn
            parameters["LowPriorityRuleArn"] = stack.entry["LowPriorityRuleArn"]
            parameters["NodeRoleArns"] = ",".join(stack.node_roles)
        return parameters

    def apply_config(self, **changes: Any) -> None:
        """Apply the FleetConfig in every Region, with `changes` of its top-level fields."""
        config = {**self.fleet_config(), **changes}
        with ThreadPoolExecutor(thread_name_prefix="apply") as pool:
            list(pool.map(lambda stack: stack.invoke("apply-config", {"config": config}), self.stacks))

    def set_switch(self, automation: str, reason: str) -> None:
        """Set the fleet's one switch: run, observe or off."""
        self.stacks[0].invoke("set-switch", {"automation": automation, "reason": reason, "set_by": "sandbox"})

    def switch(self) -> Switch:
        """The switch as it is now."""
        return self._shared(self.stacks[0]).read_brake().fleet

    def sights(self) -> Sequence[Sight]:
        """How the Regions look from the watcher, as the watcher's Region knows it."""
        return self._shared(self.watcher or self.stacks[0]).sights()

    def _shared(self, stack: ControlStack) -> RegionTable:
        return RegionTable(f"{FLEET}-regions", stack.client("dynamodb"))

    def _each(self, act: Callable[[SandboxRegion], object]) -> None:
        """The same in all Regions of the fleet at once. Raises what the first one raised."""
        regions: Iterable[SandboxRegion] = self.regions.values()
        with ThreadPoolExecutor(thread_name_prefix="regions") as pool:
            list(pool.map(act, regions))


def _runtime(built: Path | None, *, cold: bool) -> dict[str, Any]:
    """The workers' interpreter and layers: the working tree's, or what `sam build` built and an interpreter that has
    none of our packages."""
    if built is None:
        python = ROOT / ".venv-runtime" / "bin" / "python"
        return {"runtime_python": python, "libraries": () if cold else LIBRARIES}
    layers = {name: built.resolve() / name for name in ("StandfastLayer", "DependenciesLayer")}
    missing = [str(folder) for folder in layers.values() if not folder.is_dir()]
    if missing:
        raise SandboxError(f"{', '.join(missing)} is not there; run `make built`, or sam build --build-dir {built}")
    return {"runtime_python": ROOT / ".venv-lambda" / "bin" / "python", "layers": layers, "libraries": ()}
