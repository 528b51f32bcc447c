"""`config-drift`: hands change the configuration in every Region. The schedule finds, tells, and repairs or keeps it.

One document for all Regions asks for repair, and its overlay for the first Region says that there a hand edit is kept.

1. In the first Region another document is applied by hand, and the parameter edited: told, and left alone.
2. In the second Region another document is applied by hand; the watcher's parameter is edited, and the text of the
   version in its bucket: told, and put back.
3. The watcher's item of the table is edited, so that nothing can read it: somebody is woken, and it is put back.
4. The switch of the second Region says off: a hand edit there is told and waits until the switch says run.
5. A sync of the same version ends what was kept. Then an earlier version is gone back to.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.control import ControlStack, Message
    from sandbox.scenario import Stage

NAME: Final = "config-drift"
LIMIT_SECONDS: Final = 600.0
"""A schedule of a minute, the minute that a sync is given to settle, and a machine so busy that AWS does not answer."""
DRAIN_SECONDS: Final = 40
BY_HAND: Final = {"failover": {"drain_seconds": 3}}


class _Diary:
    """What happened when, and what a person was told since the beginning."""

    def __init__(self, stage: Stage) -> None:
        self.began_at = time.time()
        self.moments: list[Moment] = []
        self._say = stage.say
        self._told = {stack.name: len(stack.messages()) for stack in stage.sandbox.stacks}

    def note(self, event: str, detail: str = "") -> None:
        self._say(f"{event}{': ' + detail if detail else ''}")
        self.moments.append(Moment(round(time.time() - self.began_at, 3), event, detail))

    def messages(self, stack: ControlStack) -> list[Message]:
        return list(stack.messages()[self._told[stack.name] :])

    def wait_for(self, stack: ControlStack, what: str, found: Callable[[], Any]) -> float:
        """Seconds until it was so."""
        since = time.monotonic()
        stack.wait_for(what, found, LIMIT_SECONDS)
        self.note(f"{stack.name}: {what}")
        return time.monotonic() - since

    def wait_for_words(self, stack: ControlStack, what: str, words: str) -> float:
        return self.wait_for(stack, what, lambda: any(words in each.text for each in self.messages(stack)))


def run(stage: Stage) -> Report:
    """Once."""
    from sandbox import configuration
    from sandbox.figures import outage

    sandbox, diary = stage.sandbox, _Diary(stage)
    keeps, repairs, watcher = sandbox.stacks
    wanted = {
        **sandbox.fleet_config(),
        "failover": {"drain_seconds": DRAIN_SECONDS},
        "configuration": {"drift": "repair"},
        "overlays": {keeps.name: {"configuration": {"drift": "tell"}}},
    }
    synced = configuration.output(configuration.sync(keeps, config=wanted))
    diary.note(f"version {synced['version']} is in force in {len(synced['regions'])} Regions")
    by_hand = {"config": {**sandbox.fleet_config(), **BY_HAND}}
    injected = found = repaired = kept = 0
    seconds: list[float] = []

    for stack in (keeps, repairs):
        stack.invoke("apply-config", by_hand)
    configuration.edit_parameter(keeps, '{"version": 0}')
    configuration.edit_parameter(watcher, "by hand")
    configuration.edit_object(watcher, "by hand")
    diary.note("hands changed three Regions", "two documents, two parameters, one text in a bucket")
    injected += 5
    for stack, words in (
        (repairs, f"failover.drain_seconds: {DRAIN_SECONDS} becomes 3"),
        (watcher, "the text of the version was changed in the bucket"),
        (keeps, f"failover.drain_seconds: {DRAIN_SECONDS} becomes 3"),
        (watcher, "the parameter says by hand"),
        (keeps, 'the parameter says {"version": 0}'),
    ):
        seconds.append(diary.wait_for_words(stack, "it is told", words))
        found += 1
    for stack, count in ((repairs, 1), (watcher, 2)):
        diary.wait_for(stack, "it is put back", partial(configuration.is_as_synced, stack))
        repaired += count
    kept += 2 * (not configuration.is_as_synced(keeps))

    configuration.edit_item(watcher, '{"fleet": "by hand"')
    diary.note("a hand edits the table's item in the watcher's Region, which nothing can read any more")
    injected += 1
    seconds.append(diary.wait_for_words(watcher, "it is told", "what is in force cannot be read"))
    pages = [each for each in diary.messages(watcher) if each.topic == "page" and "cannot be read" in each.text]
    found += 1
    diary.wait_for(watcher, "it is put back", lambda: configuration.is_as_synced(watcher))
    repaired += 1

    switch = {"region": repairs.name, "reason": "somebody works on it", "set_by": "the sandbox"}
    repairs.invoke("set-switch", {**switch, "automation": "off"})
    repairs.invoke("apply-config", by_hand)
    diary.note(f"the switch of {repairs.name} says off, and a hand changes its configuration")
    injected += 1
    seconds.append(diary.wait_for_words(repairs, "it is told", "it is not repaired: the switch says off"))
    found += 1
    against_switch = int(configuration.is_as_synced(repairs))
    repairs.invoke("set-switch", {**switch, "automation": "run"})
    diary.wait_for(repairs, "it is put back", lambda: configuration.is_as_synced(repairs))
    repaired += 1

    kept_at_last = not configuration.is_as_synced(keeps)
    again = configuration.output(configuration.sync(repairs, version=synced["version"]))
    diary.note(f"version {again['version']} is synced once more, which ends what was kept")
    ended = all(configuration.is_as_synced(stack) for stack in sandbox.stacks)
    later = configuration.output(configuration.sync(keeps, config={**wanted, "failover": {"drain_seconds": 50}}))
    back = configuration.output(configuration.sync(keeps, version=synced["version"]))
    diary.note(f"version {later['version']} is synced, and version {back['version']} gone back to")
    rolled_back = all(configuration.is_as_synced(stack) for stack in sandbox.stacks)
    served = [outage(region.load.records(), diary.began_at) for region in sandbox.regions.values() if region.load]
    figures: dict[str, Any] = {
        "drifts_injected": injected,
        "drifts_found": found,
        "drifts_repaired": repaired,
        "drifts_kept_by_config": kept if kept_at_last else 0,
        "repaired_against_the_switch": against_switch,
        "pages_for_an_unreadable_configuration": len(pages),
        "seconds_to_find_worst": round(max(seconds), 1),
        "failed_requests": sum(each.failed_requests for each in served),
    }
    faults = problems(figures)
    faults += ["a sync of the same version did not end the drift that was kept"] * (not ended)
    faults += ["the earlier version is not in force everywhere"] * (not rolled_back)
    faults += [f"a role lacks a permission: {denial}" for denial in sandbox.cloud.denials()]
    return Report(NAME, keeps.name, figures, diary.moments, faults)


def problems(found: Mapping[str, Any]) -> list[str]:
    """What did not come out as it must."""
    wanted = {
        "drifts_found": found["drifts_injected"],
        "drifts_repaired": found["drifts_injected"] - 2,
        "drifts_kept_by_config": 2,
        "repaired_against_the_switch": 0,
        "pages_for_an_unreadable_configuration": 1,
        "failed_requests": 0,
    }
    return [f"{key} is {found[key]}, {value} is wanted" for key, value in wanted.items() if found[key] != value]


SCENARIO = Scenario(NAME, "hands change the configuration: found, told, repaired or kept as it says itself", run)
