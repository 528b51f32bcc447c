"""The invariants of docs/protocol.md, by property: two controllers, crashes, lost answers, late writes.

Each controller runs the real `lease.take`, `ScopeStore.write_desired` and `traffic.apply_desired` on a thread of its
own and stops before every call to a port. Hypothesis decides who goes next, whose answer is lost, which write to the
load balancer is delivered late, and who crashes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from standfast import traffic
from standfast.errors import ConflictError, FencedError, LeaseHeldError, NotConvergedError
from standfast.fleet import Entry, Role
from standfast.lease import Claim, HolderState, Lease, LeaseAction, Purpose, decide, outranks, take
from standfast.planned_move import roles_after, weights_at
from standfast.reconcile import Reconciler
from standfast.rule_weights import LOW_PRIORITY, on_rules, with_share
from standfast.stores import ScopeRecord, View
from standfast.traffic import Desired, DriftAction, Move, Weights, all_to, apply_desired, decide_drift, serves, shares
from tests import builders
from tests.builders import assessment
from tests.fakes import (
    FakeClusterTable,
    FakeExecutions,
    FakeLoadBalancer,
    FakeMessenger,
    FakeRegionTable,
    FakeScopeStore,
)

SCOPE = "us-east-1"
CLUSTERS = ("a", "b", "c")
ENTRY = Entry("arn:rule", {name: f"arn:{name}" for name in CLUSTERS}, "arn:shed", "arn:low-priority")
SHARES = {"a": (0, 50), "b": (20, 100), "c": (80, 100)}
"""What a step of shedding makes of its target, in per cent, of everything and of low priority: it moves no cluster's
weight."""
CONFIG = builders.fleet(
    regions={
        SCOPE: {
            "entry": {
                **builders.document()["regions"][SCOPE]["entry"],
                "shed_target_group_arn": builders.target_group_arn("shed"),
                "low_priority_rule_arn": builders.LOW_PRIORITY_RULE_ARN,
            },
            "clusters": {
                "c-a": builders.cluster("c-a", "active"),
                "c-b": builders.cluster("c-b"),
                "c-c": builders.cluster("c-c"),
            },
        }
    }
)
ResultT = TypeVar("ResultT")


class CrashError(BaseException):
    """The controller's process is gone."""


class AnswerLostError(Exception):
    """The call took effect and its answer did not arrive."""


class Turnstile:
    """Lets a controller's thread make one port call at a time."""

    def __init__(self) -> None:
        self.waiting = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.crash = False
        self.lose_answer = False
        self.finished = False

    def pass_through(self, call: Callable[[], ResultT]) -> ResultT:
        self.waiting.release()
        self.go.acquire()
        if self.crash:
            raise CrashError
        lose, self.lose_answer = self.lose_answer, False
        result = call()
        if lose:
            raise AnswerLostError
        return result


class TwoRules(FakeLoadBalancer):
    """The rule that serves, and the one for low priority: each is written by a call of its own."""

    def write_weights(self, entry: Entry, weights: Weights) -> None:
        for part in parts(weights):
            self.write_rule(part)

    def write_rule(self, part: Weights) -> None:
        others = [each for each in parts(self.weights) if any(is_low(each)) != any(is_low(part))]
        self.weights = {**{name: weight for each in others for name, weight in each.items()}, **part}
        self.writes.append(dict(self.weights))


def is_low(weights: Weights) -> list[bool]:
    return [name.startswith(LOW_PRIORITY) for name in weights]


def parts(weights: Weights) -> list[Weights]:
    """The weights rule by rule, as they are written: that which serves first."""
    return [
        {name: weight for name, weight in weights.items() if name.startswith(LOW_PRIORITY) is low}
        for low in (False, True)
    ]


class World:
    """What really is: the table, the rule, the writes to the rule that are still under way, and the history."""

    def __init__(self) -> None:
        first = Desired(1, 0, {"a": 100, "b": 0, "c": 0}, {"a": Role.ACTIVE, "b": Role.STANDBY}, "first", 0.0)
        self.store = FakeScopeStore(ScopeRecord(SCOPE, first))
        self.executions = FakeExecutions()
        self.balancer = TwoRules(on_rules(first.weights, ENTRY))
        self.late: list[Weights] = []
        self.granted: dict[int, str] = {}
        self.versions = [first]

    def grant(self, seen: Lease, lease: Lease) -> None:
        before = self.store.read(SCOPE).lease
        self.store.grant(SCOPE, seen=seen, lease=lease)
        holder, purpose = lease.holder, lease.purpose
        assert holder is not None
        assert purpose is not None
        assert lease.token not in self.granted, "a token was granted twice"
        assert lease.token > max(self.granted, default=0), "a token did not grow"
        if before.holder in self.executions.running:
            assert outranks(purpose, before.purpose), (
                "a running holder lost its lease to a claim that does not outrank it"
            )
        self.granted[lease.token] = holder

    def view(self) -> View:
        """All clusters serve, as the watch finds them."""
        known = {name: assessment(name, assessed_at=0.0) for name in CLUSTERS}
        return builders.view(self.store.read(SCOPE), config=CONFIG, assessments=known)

    def write_desired(self, who: str, token: int, seen_version: int, desired: Desired) -> None:
        held = self.store.read(SCOPE).lease
        self.store.write_desired(SCOPE, token=token, seen_version=seen_version, desired=desired)
        assert desired.move is None or held.purpose is not Purpose.FAILOVER, "a failover left a planned move standing"
        assert held.holder == who, "somebody who does not hold the lease changed desired state"
        assert self.granted[token] == who
        self.versions.append(desired)


class SettlingStore(FakeScopeStore):
    """The store as the reconciler sees it: what it writes is held against the world's rules as well."""

    def __init__(self, world: World) -> None:
        self.world, self.records = world, world.store.records

    def grant(self, scope_id: str, *, seen: Lease, lease: Lease) -> None:
        self.world.grant(seen, lease)

    def write_desired(self, scope_id: str, *, token: int, seen_version: int, desired: Desired) -> None:
        self.world.write_desired(self.world.granted[token], token, seen_version, desired)


class ControllerPorts:
    """The ports as one controller sees them: every call is a step, a write to the rule may arrive late."""

    def __init__(self, world: World, turnstile: Turnstile, name: str) -> None:
        self.world, self.turnstile, self.name = world, turnstile, name
        self.delay_next_write = False

    def read(self, scope_id: str) -> ScopeRecord:
        return self.turnstile.pass_through(lambda: self.world.store.read(scope_id))

    def create(self, record: ScopeRecord) -> bool:
        raise NotImplementedError

    def grant(self, scope_id: str, *, seen: Lease, lease: Lease) -> None:
        self.turnstile.pass_through(lambda: self.world.grant(seen, lease))

    def release(self, scope_id: str, *, token: int, attempts: int, not_before: float) -> None:
        self.turnstile.pass_through(
            lambda: self.world.store.release(scope_id, token=token, attempts=attempts, not_before=not_before)
        )

    def write_desired(self, scope_id: str, *, token: int, seen_version: int, desired: Desired) -> None:
        self.turnstile.pass_through(lambda: self.world.write_desired(self.name, token, seen_version, desired))

    def holder_state(self, execution_arn: str) -> HolderState:
        return self.turnstile.pass_through(lambda: self.world.executions.holder_state(execution_arn))

    def start_failover(self, name: str, payload: Mapping[str, object]) -> bool:
        raise NotImplementedError

    def read_weights(self, entry: Entry) -> Weights:
        return self.turnstile.pass_through(lambda: self.world.balancer.read_weights(entry))

    def write_weights(self, entry: Entry, weights: Weights) -> None:
        def write(part: Weights) -> None:
            if self.delay_next_write:
                self.delay_next_write = False
                self.world.late.append(dict(part))
            else:
                self.world.balancer.write_rule(part)

        for part in parts(weights):
            self.turnstile.pass_through(partial(write, part))

    def check_writable(self, entry: Entry) -> None:
        raise NotImplementedError


class Controller:
    """One execution, or one step of shedding: take the lease, change the weights, apply, release.

    A rollout is a planned move: two stages, then the roles.
    """

    def __init__(self, world: World, name: str, purpose: Purpose, target: str) -> None:
        self.turnstile = Turnstile()
        self.ports = ControllerPorts(world, self.turnstile, name)
        self.world, self.name, self.purpose, self.target = world, name, purpose, target
        self.failure: BaseException | None = None
        world.executions.running.add(name)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self._await()

    def _run(self) -> None:
        try:
            self._work()
        except (LeaseHeldError, FencedError, NotConvergedError, CrashError):
            self.failure = None
        except BaseException as error:  # noqa: BLE001 - an assertion of the world must reach the test
            self.failure = error
        self.turnstile.finished = True
        self.world.executions.running.discard(self.name)
        self.turnstile.waiting.release()

    def _work(self) -> None:
        lease = self._repeat(lambda: take(SCOPE, Claim(self.name, self.purpose), self.ports, self.ports, 0.0))
        stages = (50, 100) if self.purpose is Purpose.ROLLOUT else (100,)
        for stage in stages:
            self._repeat(partial(self._stage, lease.token, stage))
            self._repeat(lambda: apply_desired(SCOPE, ENTRY, self.ports, self.ports))
        if self.purpose is Purpose.ROLLOUT:
            self._repeat(lambda: self._record_roles(lease.token))
        self._repeat(lambda: self.ports.release(SCOPE, token=lease.token, attempts=0, not_before=0.0))

    def _stage(self, token: int, stage: int) -> None:
        if self.purpose is not Purpose.ROLLOUT:
            return self._shift(token)
        desired = self.ports.read(SCOPE).desired
        source = desired.cluster_with(Role.ACTIVE) or "a"
        if source == self.target:
            return None
        move = desired.move or Move(source, self.target, desired.weights)
        weights = weights_at(stage, replace(move, target=self.target), CLUSTERS)
        following = desired.next(token=token, reason="stage", now=0.0, weights=weights, move=move)
        return self.ports.write_desired(SCOPE, token=token, seen_version=desired.version, desired=following)

    def _record_roles(self, token: int) -> None:
        traffic.record_roles(
            SCOPE,
            lambda desired: roles_after(desired, desired.cluster_with(Role.ACTIVE) or "a", self.target),
            self.ports,
            token=token,
            reason="recorded",
            now=0.0,
            ends_move=True,
        )

    def _shift(self, token: int) -> None:
        desired = self.ports.read(SCOPE).desired
        weights = all_to(self.target, CLUSTERS)
        if self.purpose is Purpose.SHED:
            weights = with_share(desired.weights, *SHARES[self.target])
        ends = self.purpose is Purpose.FAILOVER
        following = desired.next(token=token, reason="moved", now=0.0, weights=weights, ends_move=ends)
        self.ports.write_desired(SCOPE, token=token, seen_version=desired.version, desired=following)

    @staticmethod
    def _repeat(step: Callable[[], ResultT]) -> ResultT:
        """Step Functions runs a step again when its answer was lost or somebody wrote first."""
        while True:
            try:
                return step()
            except (AnswerLostError, ConflictError):
                continue

    def _await(self) -> None:
        assert self.turnstile.waiting.acquire(timeout=10), "the controller is stuck"

    def step(self) -> None:
        self.turnstile.go.release()
        self._await()
        if self.failure is not None:
            raise self.failure

    def crash(self) -> None:
        self.turnstile.crash = True
        self.step()


def verify(world: World) -> None:
    """What `reconcile` does every five seconds: after it, actual is desired or a remembered late write is due."""
    actual = world.balancer.read_weights(ENTRY)
    decision = decide_drift(world.store.read(SCOPE).desired, actual, ENTRY)
    assert decision.action is not DriftAction.REPORT, f"our own write was taken for a hand edit: {decision.reason}"
    if decision.action is DriftAction.REPAIR:
        apply_desired(SCOPE, ENTRY, world.store, world.balancer)
    assert shares(world.balancer.weights) == shares(on_rules(world.store.read(SCOPE).desired.weights, ENTRY))


class Protocol(RuleBasedStateMachine):
    """Two controllers at a time; more are born as they end."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.controllers: list[Controller] = []
        self.born = 0

    def alive(self) -> list[Controller]:
        return [controller for controller in self.controllers if not controller.turnstile.finished]

    @precondition(lambda self: len(self.alive()) < 2)
    @rule(purpose=st.sampled_from(Purpose), towards=st.sampled_from(CLUSTERS))
    def start(self, purpose: Purpose, towards: str) -> None:
        self.born += 1
        self.controllers.append(Controller(self.world, f"execution-{self.born}", purpose, towards))

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), fate=st.sampled_from(["goes on"] * 4 + ["answer lost", "written late"]))
    def step(self, data: st.DataObject, fate: str) -> None:
        controller = data.draw(st.sampled_from(self.alive()))
        controller.turnstile.lose_answer = fate == "answer lost"
        controller.ports.delay_next_write = fate == "written late"
        controller.step()

    @precondition(lambda self: self.alive())
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.alive())).crash()

    @precondition(lambda self: self.world.late)
    @rule(data=st.data())
    def a_late_write_arrives(self, data: st.DataObject) -> None:
        weights = data.draw(st.sampled_from(self.world.late))
        self.world.late.remove(weights)
        self.world.balancer.write_rule(weights)

    @rule()
    def somebody_verifies(self) -> None:
        verify(self.world)

    @rule()
    def somebody_settles(self) -> None:
        """What `reconcile` does next: a planned move that nobody is at work on is finished or undone, not left."""
        world = self.world
        record = world.store.read(SCOPE)
        if record.lease.holder is not None and record.lease.holder not in world.executions.running:
            world.store.release(SCOPE, token=record.lease.token, attempts=0, not_before=0.0)
        reconciler = Reconciler(
            SCOPE,
            world,
            FakeRegionTable(builders.switch()),
            SettlingStore(world),
            FakeClusterTable(world.view()),
            world.balancer,
            world.executions,
            FakeMessenger(),
        )
        before = world.store.read(SCOPE)
        reconciler.settle_move(0.0)
        after = world.store.read(SCOPE)
        if before.lease.holder is not None:
            assert after == before, "the reconciler settled a move that somebody is at work on"
        else:
            assert after.desired.move is None, "a planned move was left half-way"
            assert after.lease.holder is None

    @rule(token_behind=st.integers(1, 3))
    def a_stale_token_changes_nothing(self, token_behind: int) -> None:
        record = self.world.store.read(SCOPE)
        following = record.desired.next(token=record.lease.token, reason="stale", now=0.0, weights={"a": 1, "b": 0})
        with pytest.raises(FencedError):
            self.world.store.write_desired(
                SCOPE, token=record.lease.token - token_behind, seen_version=record.desired.version, desired=following
            )
        assert self.world.store.read(SCOPE) == record

    @invariant()
    def versions_and_tokens_are_ordered(self) -> None:
        versions = self.world.versions
        assert [desired.version for desired in versions] == list(range(1, len(versions) + 1))
        assert [desired.token for desired in versions] == sorted(desired.token for desired in versions)
        assert self.world.store.read(SCOPE).desired == versions[-1]

    @invariant()
    def the_rule_is_never_dark(self) -> None:
        assert serves(self.world.balancer.weights)
        assert all(serves(weights) for weights in self.world.balancer.writes)

    def teardown(self) -> None:
        for controller in self.alive():
            controller.crash()
            controller.thread.join(timeout=10)


Protocol.TestCase.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestProtocol = Protocol.TestCase
MOST_CALLS = 60


@pytest.mark.parametrize("purpose", [Purpose.FAILOVER, Purpose.ROLLOUT, Purpose.SHED])
def test_whoever_ends_between_any_two_calls_leaves_rules_that_the_next_check_mends(purpose: Purpose) -> None:
    """The property draws such moments; this takes each in turn, also that between the writes of the two rules."""
    for calls in range(MOST_CALLS):
        world = World()
        controller = Controller(world, "execution-1", purpose, "b")
        for _ in range(calls):
            if not controller.turnstile.finished:
                controller.step()
        if controller.turnstile.finished:
            break
        controller.crash()
        verify(world)
    assert 5 < calls < MOST_CALLS - 1


@pytest.mark.parametrize("purpose", [Purpose.FAILOVER, Purpose.ROLLOUT, Purpose.SHED])
def test_each_write_of_either_rule_that_arrives_after_all_others_is_mended(purpose: Purpose) -> None:
    arrived = 0
    for late in range(MOST_CALLS):
        world = World()
        controller = Controller(world, "execution-1", purpose, "b")
        for call in range(MOST_CALLS):
            if not controller.turnstile.finished:
                controller.ports.delay_next_write = call == late
                controller.step()
        assert controller.turnstile.finished
        for part in world.late:
            arrived += 1
            world.balancer.write_rule(part)
            verify(world)
    assert arrived >= 2


def test_an_unknown_holder_keeps_its_lease() -> None:
    lease = Lease(3, "execution-1", Purpose.FAILOVER)
    decision = decide(lease, Claim("execution-2", Purpose.FAILOVER), HolderState.UNKNOWN, 0.0)
    assert decision.action is LeaseAction.REFUSE
    assert "unknown is not ended" in decision.reason


def test_a_failover_takes_the_lease_from_a_rollout_and_never_the_other_way_round() -> None:
    rollout = decide(
        Lease(3, "execution-1", Purpose.ROLLOUT), Claim("execution-2", Purpose.FAILOVER), HolderState.RUNNING, 7.0
    )
    assert rollout.action is LeaseAction.GRANT
    assert rollout.lease == Lease(4, "execution-2", Purpose.FAILOVER, 7.0)
    failover = decide(
        Lease(3, "execution-1", Purpose.FAILOVER), Claim("execution-2", Purpose.ROLLOUT), HolderState.RUNNING, 7.0
    )
    assert failover.action is LeaseAction.REFUSE


def test_a_step_of_shedding_gives_way_to_everybody_and_takes_the_lease_from_nobody() -> None:
    for purpose in (Purpose.ROLLOUT, Purpose.FAILOVER):
        step = Lease(3, "shed-overload/1/until/9", Purpose.SHED)
        assert decide(step, Claim("execution-2", purpose), HolderState.RUNNING, 7.0).action is LeaseAction.GRANT
        held = Lease(3, "execution-1", purpose)
        claim = Claim("shed-overload/1/until/9", Purpose.SHED)
        assert decide(held, claim, HolderState.RUNNING, 7.0).action is LeaseAction.REFUSE


def test_the_lease_of_an_execution_that_ended_is_recovered_under_a_new_token() -> None:
    decision = decide(
        Lease(3, "execution-1", Purpose.FAILOVER), Claim("execution-2", Purpose.ROLLOUT), HolderState.ENDED, 7.0
    )
    assert decision.lease.token == 4
    assert "ended without releasing" in decision.reason


def test_taking_the_lease_twice_keeps_the_token() -> None:
    world = World()
    claim = Claim("execution-1", Purpose.FAILOVER)
    world.executions.running.add("execution-1")
    first = take(SCOPE, claim, world.store, world.executions, 1.0)
    again = take(SCOPE, claim, world.store, world.executions, 2.0)
    assert first == again


def test_the_actuator_gives_up_when_somebody_else_keeps_writing() -> None:
    class Contested(FakeLoadBalancer):
        def write_weights(self, entry: Entry, weights: Weights) -> None:
            self.weights = {"a": 1, "b": 1}

    world = World()
    with pytest.raises(NotConvergedError, match="somebody else is writing"):
        apply_desired(SCOPE, ENTRY, world.store, Contested({"a": 100}))
