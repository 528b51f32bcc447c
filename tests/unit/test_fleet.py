"""FleetConfig: every mistake is named with its mend, and equal configurations are equal texts."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.configuration import check_change, first_record
from standfast.errors import InvalidInputError, UnknownClusterError
from standfast.fleet import SHED, FleetConfig, Role
from standfast.rule_weights import LOW_SHED
from tests.builders import (
    ACTIVE,
    ENTRY_URL,
    LOW_PRIORITY_RULE_ARN,
    NOW,
    RULE_ARN,
    SCOPE,
    STANDBY,
    cluster,
    desired,
    document,
    fleet,
    target_group_arn,
)

Document = dict[str, Any]
AT = f"regions.{SCOPE}"


def put(path: str, value: object) -> Callable[[Document], None]:
    """A change of one field, by its path; the Region is `R`."""

    def change(config: Document) -> None:
        *parents, last = [SCOPE if part == "R" else part for part in path.split(".")]
        for parent in parents:
            config = config.setdefault(parent, {})
        config[last] = value

    return change


def drop(path: str) -> Callable[[Document], None]:
    """Remove one field."""

    def change(config: Document) -> None:
        *parents, last = [SCOPE if part == "R" else part for part in path.split(".")]
        for parent in parents:
            config = config[parent]
        del config[last]

    return change


MISTAKES: list[tuple[Callable[[Document], None], str]] = [
    (drop("fleet"), "fleet is missing; add it"),
    (put("fleet", "Chat Bot"), "fleet is no identifier; use 2 to 32 of a-z, 0-9 and -"),
    (drop("model"), "model is missing; add it"),
    (put("model.name", ""), "model.name - String should have at least 1 character"),
    (put("model.engine", "triton"), "model.engine - Input should be 'vllm', 'sglang', 'tgi', 'llama.cpp' or 'openai'"),
    (
        put("model.canary.deadline_seconds", 3),
        "model.canary.deadline_seconds - Input should be less than or equal to 2",
    ),
    (
        put("model.canary.deadline_seconds", 0.5),
        "model.canary - deadline_seconds is below first_token_seconds; raise it, a probe would always fail",
    ),
    (put("model.canary.max_tokens", 0), "model.canary.max_tokens - Input should be greater than or equal to 1"),
    (put("model.canary.prompt", ""), "model.canary.prompt - String should have at least 1 character"),
    (put("regions", {}), "regions - Dictionary should have at least 1 item"),
    (put("regions.R", []), f"{AT} - Input should be a valid dictionary or instance of Region"),
    (drop("regions.R.entry"), f"{AT}.entry is missing; add it"),
    (
        put("regions.R.entry.url", "entry.test"),
        f"{AT}.entry.url - is not a URL; write it as https://host or http://host",
    ),
    (put("regions.R.entry.url", "https://"), f"{AT}.entry.url - is not a URL"),
    (
        put("regions.R.entry.listener_rule_arn", target_group_arn("a")),
        f"{AT}.entry.listener_rule_arn is not the ARN of an Application Load Balancer's listener rule; copy it",
    ),
    (put("regions.R.clusters", None), f"{AT}.clusters is not a mapping; write `name: value` below it"),
    (
        put("regions.R.clusters.USE1", cluster("c")),
        f"{AT}.clusters.USE1.[key] is no identifier; use 2 to 32 of a-z, 0-9 and -",
    ),
    (
        put(f"regions.R.clusters.{ACTIVE}.target_group_arn", RULE_ARN),
        f"{AT}.clusters.{ACTIVE}.target_group_arn is not the ARN of a target group; copy it",
    ),
    (
        put(f"regions.R.clusters.{STANDBY}.target_group_arn", target_group_arn(ACTIVE)),
        f"{AT}.clusters - two clusters share a target_group_arn; give each cluster a target group of its own",
    ),
    (
        put("model.api_key_secret_arn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:chat"),
        "model.api_key_secret_arn is not the ARN of a secret; copy it from Secrets Manager, with the six characters",
    ),
    (put("model.canary", {"logprob_tolerance": 0}), "model.canary.logprob_tolerance - Input should be greater than 0"),
    (
        put("regions.R.clusters.shed", cluster("shed")),
        f"{AT}.clusters - `shed` stands for what no cluster answers; give the cluster another name",
    ),
    (
        put("regions.R.entry.shed_target_group_arn", target_group_arn(STANDBY)),
        f"{AT} - entry.shed_target_group_arn is a cluster's; name the group that answers 503",
    ),
    (
        put("regions.R.entry.shed_target_group_arn", target_group_arn("shed").replace("us-east-1", "us-west-2")),
        "the document - regions.us-east-1 names arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/shed/",
    ),
    (
        put("shedding", {"calm_seconds": 5}),
        "shedding - calm_seconds is below raise_seconds; raise it, the share would swing",
    ),
    (
        put("regions.R.entry.low_priority_rule_arn", RULE_ARN),
        f"{AT}.entry - low_priority_rule_arn is the listener_rule_arn; name the rule above it",
    ),
    (
        put("regions.R.entry.low_priority_rule_arn", LOW_PRIORITY_RULE_ARN.replace("us-east-1", "us-west-2")),
        "the document - regions.us-east-1 names arn:aws:elasticloadbalancing:us-west-2:123456789012:listener-rule/app/",
    ),
    (
        put("shedding", {"low_priority": {"header": "x-priority", "values": ["low"]}}),
        "the document - regions.us-east-1.entry.shed_target_group_arn is missing; shedding.low_priority needs it",
    ),
    (
        put("shedding", {"low_priority": {"header": "x priority", "values": ["low"]}}),
        "shedding.low_priority.header - String should match pattern",
    ),
    (
        put("shedding", {"low_priority": {"header": "x-priority", "values": list("abcde")}}),
        "shedding.low_priority.values - List should have at most 4 items",
    ),
    (
        put("shedding", {"step_percent": 30, "maximum_percent": 20}),
        "shedding - maximum_percent is below step_percent; raise it, or lower the step",
    ),
    (
        put(f"regions.R.clusters.{ACTIVE}.role", "quarantined"),
        f"{AT}.clusters.{ACTIVE}.role - Input should be 'active' or 'standby'",
    ),
    (
        put(f"regions.R.clusters.{ACTIVE}.role", "standby"),
        f"{AT}.clusters - exactly one cluster must have `role: active`; none is",
    ),
    (
        put(f"regions.R.clusters.{STANDBY}.role", "active"),
        f"{AT}.clusters - exactly one cluster must have `role: active`; {ACTIVE}, {STANDBY} are",
    ),
    (
        drop(f"regions.R.clusters.{STANDBY}"),
        f"{AT}.clusters - there is no standby, so a failover has nowhere to go; add a cluster with `role: standby`",
    ),
    (
        put(f"regions.R.clusters.{ACTIVE}.replicas", 0),
        f"{AT}.clusters.{ACTIVE}.replicas - Input should be greater than or equal to 1",
    ),
    (
        put(f"regions.R.clusters.{ACTIVE}.replicas", "four"),
        f"{AT}.clusters.{ACTIVE}.replicas - Input should be a valid integer",
    ),
    (
        put("regions.R.entry.listener_rule_arn", RULE_ARN.replace("us-east-1", "us-west-2")),
        f"the document - {AT} names {RULE_ARN.replace('us-east-1', 'us-west-2')}, which is in another Region; copy",
    ),
    (
        put("regions.us-west-2", document()["regions"][SCOPE]),
        f"the document - regions.us-west-2.clusters: {ACTIVE} is in {SCOPE} too; give each cluster of the fleet an id",
    ),
    (put("watchers", [SCOPE]), f"the document - watchers: {SCOPE} has clusters, so it is no mere watcher; remove it"),
    (put("watchers", ["Ohio"]), "watchers.0 is no AWS Region; write it as us-east-1"),
    (put("detection.failures", 1), "detection.failures - Input should be greater than or equal to 2"),
    (put("detection.entry_failures", 0), "detection.entry_failures - Input should be greater than or equal to 1"),
    (put("detection.fresh_seconds", 1), "detection.fresh_seconds - Input should be greater than or equal to 3"),
    (
        put("detection", {"failures": 8, "fresh_seconds": 5}),
        "detection - fresh_seconds is below 8: at a probe a second, failures would be too old before they are enough",
    ),
    (put("failover.drain_seconds", -1), "failover.drain_seconds - Input should be greater than or equal to 0"),
    (put("failover.hold_down_seconds", 1), "failover.hold_down_seconds - Input should be greater than or equal to 5"),
    (put("regoins", {}), "regoins is not a known field; remove it or mend its spelling"),
    (put("failover.drian_seconds", 3), "failover.drian_seconds is not a known field; remove it or mend its spelling"),
]


@pytest.mark.parametrize(("mistake", "said"), MISTAKES, ids=[said.split(";", maxsplit=1)[0] for _, said in MISTAKES])
def test_a_mistake_is_named_with_its_mend(mistake: Callable[[Document], None], said: str) -> None:
    config = document()
    mistake(config)
    with pytest.raises(InvalidInputError) as refusal:
        FleetConfig.parse(config)
    assert f"FleetConfig: {said}" in str(refusal.value)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(InvalidInputError, match=r"fleet is no identifier.*; extra is not a known field"):
        FleetConfig.parse(document(fleet="", extra=1))


@pytest.mark.parametrize("nonsense", [None, [], "fleet: chat", 3])
def test_what_is_no_mapping_is_refused(nonsense: object) -> None:
    with pytest.raises(InvalidInputError, match="not a mapping; begin it with `fleet: <name>`"):
        FleetConfig.parse(nonsense)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["fleet", "model", "regions", "regions.R", "detection"]), _values)
def test_whatever_stands_in_a_field_is_read_or_refused_in_words(path: str, value: object) -> None:
    config = document()
    put(path, value)(config)
    try:
        FleetConfig.parse(config)
    except InvalidInputError as refusal:
        said = str(refusal)
    else:
        return
    assert said.startswith("FleetConfig: ")


# What is right


def test_the_defaults_are_those_of_the_fast_path() -> None:
    config = fleet()
    assert (config.detection.failures, config.detection.entry_failures, config.detection.fresh_seconds) == (3, 2, 10)
    assert (config.model.canary.first_token_seconds, config.model.canary.deadline_seconds) == (1.0, 1.5)
    assert (config.failover.drain_seconds, config.failover.hold_down_seconds) == (30, 60)


def test_a_trailing_slash_does_not_belong_to_a_url() -> None:
    config = document()
    put("regions.R.entry.url", ENTRY_URL + "/")(config)
    assert FleetConfig.parse(config).region(SCOPE).entry.url == ENTRY_URL


def test_equal_configurations_are_equal_texts_and_hashes() -> None:
    config = document()
    spelled_out = copy.deepcopy(config)
    spelled_out["detection"] = {"fresh_seconds": 10.0, "entry_failures": 2, "failures": 3}
    put("regions.R.entry.url", ENTRY_URL + "/")(spelled_out)
    backwards = dict(reversed(spelled_out.items()))
    first, second = FleetConfig.parse(config), FleetConfig.parse(backwards)
    assert first == second
    assert first.canonical() == second.canonical()
    assert first.digest() == second.digest()


def test_canonical_text_reads_back_as_the_same_configuration() -> None:
    config = fleet(model={"name": "日本語-7b", "engine": "llama.cpp"})
    again = FleetConfig.parse(json.loads(config.canonical()))
    assert again == config
    assert again.digest() == config.digest()
    assert "日本語-7b" in config.canonical()


def test_one_other_value_is_another_digest() -> None:
    assert fleet().digest() != fleet(failover={"drain_seconds": 31}).digest()


def test_an_unknown_cluster_is_named_with_the_ones_there_are() -> None:
    region = fleet().region(SCOPE)
    assert region.cluster(ACTIVE).replicas == 4
    with pytest.raises(UnknownClusterError, match="cluster 'use1-z' is unknown; this Region has use1-a, use1-b"):
        region.cluster("use1-z")


def test_an_unknown_region_is_named_with_the_ones_there_are() -> None:
    with pytest.raises(InvalidInputError, match="Region 'eu-west-1' is not in the FleetConfig; it has us-east-1"):
        fleet().region("eu-west-1")


def test_the_entry_knows_the_target_group_of_each_cluster() -> None:
    entry = fleet().region(SCOPE).bound_entry()
    assert entry.listener_rule_arn == RULE_ARN
    assert entry.target_groups == {ACTIVE: target_group_arn(ACTIVE), STANDBY: target_group_arn(STANDBY)}
    assert entry.weighted_groups() == entry.target_groups


def test_the_group_that_sheds_may_be_in_the_rule_and_is_no_cluster() -> None:
    regions = document()["regions"]
    regions[SCOPE]["entry"]["shed_target_group_arn"] = target_group_arn("sheds")
    entry = fleet(regions=regions).region(SCOPE).bound_entry()
    assert set(entry.target_groups) == {ACTIVE, STANDBY}
    assert entry.weighted_groups() == {**entry.target_groups, SHED: target_group_arn("sheds")}


def test_low_priority_needs_its_rule_in_every_region_and_the_rule_may_stay_without_it() -> None:
    regions = document()["regions"]
    shedding = {"low_priority": {"header": "x-priority", "values": ["low"]}}
    regions[SCOPE]["entry"]["shed_target_group_arn"] = target_group_arn("sheds")
    with pytest.raises(InvalidInputError, match="low_priority_rule_arn is missing; shedding"):
        fleet(regions=regions, shedding=shedding)
    regions[SCOPE]["entry"]["low_priority_rule_arn"] = LOW_PRIORITY_RULE_ARN
    for wanted in ({}, shedding):
        entry = fleet(regions=regions, shedding=wanted).region(SCOPE).bound_entry()
        assert entry.low_priority_rule_arn == LOW_PRIORITY_RULE_ARN


# A configuration for a scope


def test_the_first_state_gives_everything_to_the_active_cluster() -> None:
    first = first_record(SCOPE, fleet(), NOW)
    assert first.desired.weights == {ACTIVE: 100, STANDBY: 0}
    assert first.desired.roles == {ACTIVE: Role.ACTIVE, STANDBY: Role.STANDBY}
    assert (first.desired.version, first.lease.token, first.lease.holder) == (1, 0, None)


def test_a_configuration_that_forgets_a_serving_cluster_is_refused() -> None:
    others = {"use1-c": cluster("use1-c", "active"), STANDBY: cluster(STANDBY)}
    regions = document()["regions"]
    regions[SCOPE]["clusters"] = others
    with pytest.raises(InvalidInputError, match="clusters lacks use1-a, which serves now; move its traffic first"):
        check_change(SCOPE, fleet(regions=regions), desired())


def test_a_configuration_that_forgets_the_group_that_sheds_now_is_refused() -> None:
    shedding = desired({ACTIVE: 100, STANDBY: 0, SHED: 25})
    with pytest.raises(InvalidInputError, match="lacks shed_target_group_arn, and overload is shed now; wait until"):
        check_change(SCOPE, fleet(), shedding)
    check_change(SCOPE, fleet(), desired({ACTIVE: 100, STANDBY: 0, SHED: 0}))


def test_a_configuration_that_forgets_the_rule_that_sheds_low_priority_now_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="lacks low_priority_rule_arn, and overload is shed now; wait until"):
        check_change(SCOPE, fleet(), desired({ACTIVE: 100, STANDBY: 0, LOW_SHED: 50}))
    check_change(SCOPE, fleet(), desired({ACTIVE: 100, STANDBY: 0}))


def test_the_roles_of_a_later_configuration_do_not_matter() -> None:
    """After a failover the configuration still names the old active cluster."""
    moved = desired({STANDBY: 100}, {ACTIVE: Role.QUARANTINED, STANDBY: Role.ACTIVE})
    check_change(SCOPE, fleet(), moved)
