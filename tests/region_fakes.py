"""Stand-ins for the ports of Regions; the record itself is sandbox.replicated_record."""

from __future__ import annotations

from collections.abc import Mapping

from standfast.errors import InvalidInputError
from standfast.region_ports import Condemnation, RegionWeights, Voice
from tests.fakes import Faults


class FakeRegionSwitch:
    """Records that follow at once, and endpoints that say what a test sets."""

    def __init__(self, *regions: str) -> None:
        self.records: dict[str, dict[str, int]] = {
            region: {each: 255 if each == region else 0 for each in regions} for region in regions
        }
        self.said: dict[str, Voice] = {}
        self.settles_after = 0
        self.written: list[tuple[str, dict[str, int]]] = []
        self.faults = Faults()

    def voices(self, region: str) -> Mapping[str, Voice]:
        return dict(self.said)

    def evacuate(self, condemnation: Condemnation) -> None:
        self.faults.check("evacuate")

    def restore(self, region: str) -> None:
        self.faults.check("restore")

    def read_weights(self) -> Mapping[str, RegionWeights]:
        self.faults.check("read_weights")
        return {region: dict(each) for region, each in self.records.items()}

    def write_weights(self, region: str, weights: RegionWeights) -> str:
        self.faults.check("write_weights")
        if region not in self.records:
            raise InvalidInputError(f"{region} has no records")
        if self.records[region] == {**self.records[region], **weights}:
            return ""
        self.records[region] = {**self.records[region], **weights}
        self.written.append((region, dict(weights)))
        return f"change-{len(self.written)}"

    def is_settled(self, change: str) -> bool:
        self.settles_after -= 1
        return self.settles_after < 0


class FakeControls:
    """URLs that answer."""

    def __init__(self) -> None:
        self.answering = True
        self.asked: list[str] = []

    async def answers(self, url: str) -> bool:
        self.asked.append(url)
        return self.answering


class FakeRegionMoves:
    """Executions by name."""

    def __init__(self) -> None:
        self.started: dict[str, Mapping[str, object]] = {}
        self.faults = Faults()

    def start_region_failover(self, name: str, payload: Mapping[str, object]) -> bool:
        self.faults.check("start_region_failover")
        return self.started.setdefault(name, payload) is payload
