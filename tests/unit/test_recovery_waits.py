"""Until when a recovery's decision stands: whoever waits so long misses nothing."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from standfast.checks import NodeFinding
from standfast.health import Verdict
from standfast.recovery import DAY_SECONDS, LADDER, Evidence, Member, Remedy, decide
from standfast.recovery_rules import RecoveryRules
from standfast.recovery_waits import next_change_at
from standfast.xids import Action
from tests.builders import NOW

RULES = RecoveryRules()
SECONDS = st.integers(0, 90_000).map(float)
"""Whole seconds: sums of these are exact."""
MEMBERS = st.builds(
    Member,
    st.sampled_from(["i-1", "i-2", "i-3"]),
    st.sampled_from(
        [
            None,
            NodeFinding("i", Verdict.HEALTHY, "well"),
            NodeFinding("i", Verdict.UNKNOWN, "silent"),
            NodeFinding("i", Verdict.UNHEALTHY, "off the bus", Action.REBOOT),
        ]
    ),
    answers=st.booleans(),
    registered=st.booleans(),
    launched_at=SECONDS.map(lambda ago: NOW - ago),
)
REMEDIES = st.builds(
    Remedy,
    st.just("r"),
    st.sampled_from(["i-1", "i-2", "i-3"]),
    st.sampled_from(LADDER),
    SECONDS.map(lambda ago: NOW - ago),
    st.just("as built by a test"),
)
EVIDENCE = st.builds(
    Evidence,
    st.just("use1-a"),
    st.just(3),
    st.booleans(),
    st.lists(MEMBERS, max_size=3, unique_by=lambda each: each.instance_id),
    st.lists(REMEDIES, max_size=4).map(lambda found: sorted(found, key=lambda each: each.at)),
    st.sets(st.sampled_from(["i-1", "i-2"])).map(frozenset),
    st.integers(0, 4000).map(lambda ago: NOW - ago),
)


@given(EVIDENCE, st.floats(0, 1, exclude_max=True))
def test_a_decision_stands_until_the_moment_that_is_named(evidence: Evidence, share: float) -> None:
    until = next_change_at(evidence, RULES, NOW) or NOW + 10 * DAY_SECONDS
    moment = NOW + share * (until - NOW)
    assume(moment < until)  # a share next to one is rounded up to the moment itself
    first, later = decide(evidence, RULES, NOW), decide(evidence, RULES, moment)
    assert (later.action, later.treatments, later.bring_back) == (first.action, first.treatments, first.bring_back)


def test_time_alone_changes_nothing_where_all_is_long_past() -> None:
    well = Member("i-1", NodeFinding("i-1", Verdict.HEALTHY, "well"), True, True, NOW - 1e6)
    assert next_change_at(Evidence("a", 1, True, [well], (), frozenset(), NOW - 1e6), RULES, NOW) is None


def test_an_engine_that_starts_is_waited_for_as_long_as_the_rules_allow() -> None:
    dead = Member("i-1", NodeFinding("i-1", Verdict.HEALTHY, "well"), False, True, NOW - 1e6)
    remedy = Remedy("r", "i-1", Action.RESTART_ENGINE, NOW - 30, "dead")
    found = next_change_at(Evidence("a", 1, True, [dead], (remedy,), frozenset(), NOW - 60), RULES, NOW)
    assert found == NOW - 60 + RULES.start_seconds
