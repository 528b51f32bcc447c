"""`config-bad`: configurations that must not get into force. Each is refused in words, and nothing is changed by it.

1. Invalid in the base, invalid in an overlay, of a newer schema, a version that never was: refused before any Region
   is asked.
2. A model that is not verified in one Region: that Region refuses and keeps what it has, the others adopt, and the
   execution fails with what became of each.
3. What reaches a Region without `sync_config`: a newer schema, a text that is not what its hash says, a sync that was
   overtaken. The Region's own `adopt_config` refuses.
4. Two syncs in one moment: in the end all Regions have the same version.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from sandbox.scenario import Moment, Report, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.scenario import Stage

NAME: Final = "config-bad"
NO_SUCH_MODEL: Final = "no-such-model"
NEWER: Final = "deploy the newer release of Standfast here first"


def run(stage: Stage) -> Report:
    """Once."""
    from sandbox import configuration
    from standfast import config_versions
    from standfast.config_versions import ConfigVersion

    sandbox, began_at = stage.sandbox, time.time()
    stacks = sandbox.stacks
    first, second = stacks[0], stacks[1]
    moments: list[Moment] = []
    faults: list[str] = []

    def note(event: str, detail: str = "") -> None:
        stage.say(f"{event}{': ' + detail if detail else ''}")
        moments.append(Moment(round(time.time() - began_at, 3), event, detail))

    good = sandbox.fleet_config()
    synced = configuration.output(configuration.sync(first, config=good))
    note(f"version {synced['version']} is in force in {len(synced['regions'])} Regions")

    def state() -> list[Any]:
        return [(configuration.standing(stack), configuration.pointer(stack)) for stack in stacks]

    before = state()
    given = refused = changed = 0
    for what, payload, words in (
        (
            "a field below its minimum",
            {"config": {**good, "failover": {"drain_seconds": -1}}},
            "failover.drain_seconds",
        ),
        ("a field that is not known", {"config": {**good, "failovr": {}}}, "failovr is not a known field; remove it"),
        ("no YAML", {"config": "fleet: [chat"}, "config is no YAML"),
        (
            "an overlay for another Region",
            {"config": {**good, "overlays": {"eu-west-9": {"moves": {}}}}},
            "overlays.eu-west-9: no Region of this fleet",
        ),
        (
            "an overlay that is invalid",
            {"config": {**good, "overlays": {second.name: {"failover": 5}}}},
            f"overlays.{second.name}.failover: is a mapping in the base; write below it",
        ),
        ("a newer schema", {"config": {**good, "schema_version": 2}}, NEWER),
        ("a version that never was", {"version": 4711}, "version: there is no 4711 here; the newest are"),
        ("neither a document nor a version", {}, "give either config, a document, or version"),
    ):
        execution = configuration.sync(first, **payload)
        given += 1
        if execution.get("error") == "SyncRefused" and words in execution["cause"]:
            refused += 1
            note("refused", f"{what} ({words})")
        else:
            faults.append(f"{what}: {execution['status']} {execution.get('error')}: {execution.get('cause')}")
        changed += state() != before

    model = {"name": NO_SUCH_MODEL, "engine": "llama.cpp"}
    unknown = {**good, "failover": {"drain_seconds": 35}, "overlays": {second.name: {"model": model}}}
    kept = configuration.standing(second)
    execution = configuration.sync(first, config=unknown)
    given += 1
    cause = str(execution.get("cause"))
    if execution.get("error") == "NotEverywhere" and f"{NO_SUCH_MODEL} is not known in {second.name}" in cause:
        refused += 1
    else:
        faults.append(f"an unknown model: {execution['status']} {execution.get('error')}: {cause}")
    named = sum(f"{stack.name}: refused" in cause for stack in stacks)
    adopted = sum(f"{stack.name}: adopted" in cause for stack in stacks)
    note("an unknown model in one Region", f"{named} refused, {adopted} adopted, and the execution names each")
    changed += configuration.standing(second) != kept

    after = configuration.output(configuration.sync(first, config={**good, "failover": {"drain_seconds": 45}}))
    settled, token = configuration.standing(second), _token(configuration.standing(second))
    newer = config_versions.canonical_text({**good, "schema_version": 2})
    for what, text, sha256, at, words in (
        ("a newer schema, of a Region that was updated first", newer, config_versions.sha256(newer), token + 1, NEWER),
        ("a text that is not what its hash says", newer, "0" * 64, token + 1, "is not version"),
        ("a sync that was overtaken", None, str(synced["sha256"]), token - 2, "by a later sync"),
    ):
        number = after["version"] + 7 if text else synced["version"]
        version = ConfigVersion(number, sha256)
        if text is not None:
            configuration.put_object(second, version, text)
        asked = {"version": number, "sha256": sha256, "token": at}
        execution = configuration.wait(second, configuration.start(second, asked, "AdoptConfigArn"))
        given += 1
        if execution["status"] == "FAILED" and words in str(execution.get("cause")):
            refused += 1
            note(f"refused by {second.name} itself", what)
        else:
            faults.append(f"{what}: {execution['status']} {execution.get('error')}: {execution.get('cause')}")
        changed += configuration.standing(second) != settled

    arns = [
        (stack, configuration.start(stack, {"config": {**good, "failover": {"drain_seconds": seconds}}}))
        for stack, seconds in ((first, 51), (second, 52))
    ]
    ends = [configuration.wait(stack, arn) for stack, arn in arns]
    versions = {json.dumps(configuration.pointer(stack)) for stack in stacks}
    note("two syncs in one moment", f"{' and '.join(end['status'] for end in ends)}; {len(versions)} version in force")
    in_force = {configuration.standing(stack).text for stack in stacks}
    figures: dict[str, Any] = {
        "bad_given": given,
        "bad_refused": refused,
        "changed_by_bad": int(changed),
        "failed_regions_named": named,
        "versions_after_two_syncs": max(len(versions), len(in_force)),
    }
    faults += problems(figures)
    faults += [f"a role lacks a permission: {denial}" for denial in sandbox.cloud.denials()]
    return Report(NAME, first.name, figures, moments, faults)


def _token(standing: Any) -> int:
    return int(standing.synced.token)


def problems(found: Mapping[str, Any]) -> list[str]:
    """What did not come out as it must."""
    wanted = {
        "bad_refused": found["bad_given"],
        "changed_by_bad": 0,
        "failed_regions_named": 1,
        "versions_after_two_syncs": 1,
    }
    return [f"{key} is {found[key]}, {value} is wanted" for key, value in wanted.items() if found[key] != value]


SCENARIO = Scenario(NAME, "bad configurations: each is refused in words and changes nothing", run)
