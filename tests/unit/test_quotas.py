"""Whether AWS's quotas let all clusters of a Region run at once, and how a preflight tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover import look_at_quotas
from standfast import announcements, bootstrap, bootstrap_quotas, preflight, quotas
from standfast.errors import AccessDeniedError
from standfast.preflight import Obstacle
from standfast.quotas import Launch, Launches, Market
from standfast.steps import Caught, QuotaAnswer
from tests.builders import ACTIVE, SCOPE, STANDBY, view
from tests.unit.test_incidents import DRAINED

G, P, SPOT_G, SPOT_P, SPOT_P5 = "L-DB2E81BA", "L-417A185B", "L-3819A6DF", "L-7212CCBC", "L-C4BD4855"
FOUR = Launch(ACTIVE, "gpu-a", "g6.2xlarge", 4, 8)
TWO = Launch(STANDBY, "gpu-b", "g6.2xlarge", 2, 8)
BOTH = Launches((FOUR, TWO))


def test_a_quota_that_is_too_small_is_named_with_its_value_what_is_needed_and_the_mend() -> None:
    decision = quotas.decide(SCOPE, BOTH, {G: 32})
    (reason,) = decision.short
    assert reason == (
        "the quota Running On-Demand G and VT instances (L-DB2E81BA) of us-east-1 is 32 vCPUs, and 48 are needed "
        "for all clusters to run (use1-a 4 x g6.2xlarge = 32, use1-b 2 x g6.2xlarge = 16): what is lost can then not "
        "be rebuilt. To mend it, ask for a higher quota (Service Quotas, Amazon EC2, vCPUs of this instance family), "
        "or stop what else uses it"
    )
    assert decision.notes == ()


def test_one_that_is_exactly_enough_suffices_and_what_is_not_known_is_said() -> None:
    decision = quotas.decide(SCOPE, BOTH, {G: 48})
    assert decision.short == ()
    (note,) = decision.notes
    assert "is 48 vCPUs, and 48 are needed" in note
    assert note.endswith("beside what else this account runs")


@pytest.mark.parametrize(
    ("instance_type", "market", "code"),
    [
        ("g5.xlarge", Market.ON_DEMAND, G),
        ("g4dn.12xlarge", Market.ON_DEMAND, G),
        ("gr6.4xlarge", Market.ON_DEMAND, ""),  # no letter of the quota's name alone
        ("vt1.3xlarge", Market.ON_DEMAND, G),
        ("p4d.24xlarge", Market.ON_DEMAND, P),
        ("p6-b200.48xlarge", Market.ON_DEMAND, P),
        ("g6e.xlarge", Market.SPOT, SPOT_G),
        ("p4de.24xlarge", Market.SPOT, SPOT_P),
        ("p5en.48xlarge", Market.SPOT, SPOT_P5),
        ("p6-b200.48xlarge", Market.SPOT, ""),
        ("m7i.large", Market.ON_DEMAND, ""),
    ],
)
def test_each_type_is_counted_by_the_quota_of_its_family_and_market(
    instance_type: str, market: Market, code: str
) -> None:
    launch = replace(FOUR, instance_type=instance_type, market=market)
    quota = quotas.quota_of(launch)
    assert (quota.code if quota else "") == code
    assert quotas.asked(Launches((launch, launch))) == ([code] if code else [])


def test_a_type_whose_quota_is_not_known_is_a_note_and_no_alarm() -> None:
    decision = quotas.decide(SCOPE, Launches((replace(FOUR, instance_type="m7i.large"),)), {})
    assert decision.short == ()
    assert decision.notes == ("gpu-a launches m7i.large (on-demand), whose quota is not known",)


def test_what_nobody_can_say_beforehand_is_a_note_beside_the_rest() -> None:
    decision = quotas.decide(SCOPE, Launches((FOUR,), ("gpu-b launches into the dark",)), {G: 8})
    assert len(decision.short) == 1
    assert decision.notes == ("gpu-b launches into the dark; no quota was looked at for it",)


def test_a_parked_cluster_needs_no_quota() -> None:
    parked = Launches((replace(FOUR, instances=0),))
    assert quotas.asked(parked) == []
    assert quotas.decide(SCOPE, parked, {}) == quotas.Decision((), ())


def test_no_type_is_counted_twice() -> None:
    """Each type is tried on every quota, not only on the first that fits."""
    types = ["g4dn.xlarge", "g6e.xlarge", "vt1.3xlarge", "p2.xlarge", "p3dn.24xlarge", "p5.4xlarge", "p6-b300.48xlarge"]
    for launch in (replace(FOUR, instance_type=each, market=market) for each in types for market in Market):
        assert sum(quota.counts(launch) for quota in quotas.catalogue()) <= 1


LAUNCHES = st.lists(
    st.builds(
        Launch,
        cluster_id=st.sampled_from([ACTIVE, STANDBY]),
        group=st.just("gpu"),
        instance_type=st.sampled_from(["g6.2xlarge", "p5.48xlarge", "m7i.large"]),
        instances=st.integers(0, 50),
        vcpus=st.integers(1, 192),
        market=st.sampled_from(Market),
    ),
    max_size=6,
)


@given(LAUNCHES, st.integers(0, 5000))
def test_a_quota_is_short_when_and_only_when_all_that_it_counts_needs_more(known: list[Launch], value: int) -> None:
    found = Launches(tuple(known))
    values = dict.fromkeys(quotas.asked(found), float(value))
    needs = {quota.code: sum(launch.needs for launch in known if quota.counts(launch)) for quota in quotas.catalogue()}
    short = quotas.decide(SCOPE, found, values).short
    assert [code for code in values if any(f"({code})" in said for said in short)] == [
        code for code in values if needs[code] > value
    ]
    assert len(short) == sum(need > value for need in needs.values())


@given(LAUNCHES, st.integers(0, 5000), st.integers(0, 5000))
def test_a_higher_quota_is_never_short_where_a_lower_one_is_not(known: list[Launch], one: int, other: int) -> None:
    found = Launches(tuple(known))
    codes = quotas.asked(found)
    low, high = (
        quotas.decide(SCOPE, found, dict.fromkeys(codes, float(value))) for value in (min(one, other), max(one, other))
    )
    assert len(high.short) <= len(low.short)


# What a preflight says of it.

SHORT = QuotaAnswer(short=["the quota is 8"], notes=[])
DENIED = Caught.model_validate(
    {"Error": "AccessDeniedError", "Cause": json.dumps({"errorMessage": "GetServiceQuota of L-1: not authorized"})}
)


def told(answer: QuotaAnswer | None, error: Caught | None = None) -> announcements.Announcement:
    step = DRAINED.model_copy(update={"quotas": answer, "error": error})
    return announcements.preflight_passed(step, preflight.of_the_quotas(step))


def test_a_quota_that_is_too_small_is_an_obstacle_that_is_told_once() -> None:
    first, again = told(SHORT), told(SHORT)
    assert first.outcome == again.outcome == f"would work: {STANDBY}; mind the quota"
    assert first.text.endswith("Mind:\n- the quota is 8")


def test_a_second_quota_that_is_too_small_is_told_anew() -> None:
    assert told(QuotaAnswer(short=["one", "another"], notes=[])).outcome != told(SHORT).outcome


def test_quotas_that_suffice_are_in_the_text_and_make_no_news() -> None:
    said = told(QuotaAnswer(short=[], notes=["L-1 is 64 vCPUs, and 48 are needed"]))
    assert said.outcome == f"would work: {STANDBY}"
    assert said.text.endswith("Of AWS's quotas:\n- L-1 is 64 vCPUs, and 48 are needed")


def test_a_quota_that_cannot_be_read_is_an_obstacle_with_the_reason() -> None:
    step = DRAINED.model_copy(update={"quotas": None, "error": DENIED})
    assert preflight.of_the_quotas(step) == [
        Obstacle(
            "unread quota",
            "whether AWS's quotas let a lost cluster be rebuilt is not known: "
            "AccessDeniedError: GetServiceQuota of L-1: not authorized",
        )
    ]


def test_whoever_mends_the_reading_is_told_of_the_quota_that_it_shows() -> None:
    assert told(None, DENIED).outcome != told(SHORT).outcome


def test_an_error_of_before_hides_no_quota_that_was_read() -> None:
    assert told(SHORT, DENIED).outcome == told(SHORT).outcome


# The handler.


class Groups:
    """Launching: both clusters, as they are asked for."""

    def launches(self, cluster_ids: Sequence[str]) -> Launches:
        assert list(cluster_ids) == [ACTIVE, STANDBY]
        return BOTH


class Service:
    """ServiceQuotas with some values; every other one is denied."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self.values = values

    def value(self, code: str) -> float:
        if code not in self.values:
            raise AccessDeniedError(f"GetServiceQuota of {code}")
        return self.values[code]


class Table:
    """The state table, as far as it is read."""

    def read_config(self) -> object:
        return view().applied


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(bootstrap, "cluster_table", Table)
    monkeypatch.setattr(bootstrap_quotas, "launching", Groups)
    return monkeypatch


PREFLIGHT = DRAINED.model_copy(update={"mode": "preflight", "may_change": False}).model_dump(mode="json")


def test_the_step_answers_for_all_clusters_of_the_region(ports: pytest.MonkeyPatch) -> None:
    ports.setattr(bootstrap_quotas, "service_quotas", lambda: Service({G: 40}))
    answer = QuotaAnswer.model_validate(look_at_quotas.handler(PREFLIGHT, None))
    assert ["48 are needed" in said for said in answer.short] == [True]


def test_the_step_fails_by_name_where_a_quota_cannot_be_read(ports: pytest.MonkeyPatch) -> None:
    """The machine's Catch goes on to tell it."""
    ports.setattr(bootstrap_quotas, "service_quotas", lambda: Service({}))
    with pytest.raises(AccessDeniedError, match=G):
        look_at_quotas.handler(PREFLIGHT, None)
