"""pull_model: a Region copies what is missing or wrong, nothing else, and believes only what it verified."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.fleet.sharded import INDEX, shard_name
from standfast import pulling, s3_watching
from standfast.errors import InvalidInputError, ModelDamagedError, ThrottledError
from standfast.manifest import Manifest, manifest_key
from standfast.model_states import ModelState
from standfast.replication import Damage
from standfast.replication_steps import BatchOf, CopyStep, PullInput, PullPlan, VerifyStep
from standfast.s3_rules import Limits
from tests.builders import NOW
from tests.model_fakes import FakeGoldenStore, FakeModelStates, FakeModelStore
from tests.unit.test_registering import FILES, PREFIX, bucket, register

EAST, WEST = "us-east-1", "us-west-2"
ASKED = PullInput(model="tiny", version="v1", source_region=EAST)
FIRST, SECOND = shard_name(1, 3), shard_name(2, 3)


class World:
    """A source with a registered model, and a target with nothing."""

    def __init__(self) -> None:
        self.source = bucket()
        self.manifest: Manifest = register(self.source)
        self.target = FakeModelStore(others={"source": self.source})
        self.states = FakeModelStates()
        self.golden = FakeGoldenStore()

    def plan(self, name: str = "one") -> PullPlan:
        found = pulling.plan(ASKED, self.manifest, WEST, self.target, name, NOW)
        pulling.note_plan(found, self.manifest, self.states, NOW)
        return found

    def pull(self, name: str = "one") -> PullPlan:
        plan = self.plan(name)
        copies = [pulling.copy_batch(CopyStep(plan=plan, batch=batch), self.target, "source") for batch in plan.batches]
        wrong = pulling.verify(self.manifest, self.target)
        if wrong:
            raise ModelDamagedError(
                pulling.note_damage(VerifyStep(plan=plan, copies=copies), self.manifest, wrong, self.states, NOW)
            )
        pulling.keep_manifest(self.manifest, self.target)
        pulling.note_verified(plan, self.manifest, self.states, self.golden, NOW + 5)
        return plan

    def state(self) -> ModelState:
        record = self.states.read_model("tiny", "v1")
        assert record is not None
        return record.state


@pytest.fixture
def world() -> World:
    return World()


def test_a_region_with_nothing_gets_every_object_and_the_manifest_and_is_verified(world: World) -> None:
    plan = world.pull()
    assert (plan.due, plan.damaged) == (len(FILES), {"missing": len(FILES)})
    assert {key: body for key, body in world.target.objects.items() if key.startswith(PREFIX)} == {
        PREFIX + path: body for path, body in FILES.items()
    }
    assert world.target.objects[manifest_key("tiny", "v1")] == world.manifest.canonical().encode()
    record = world.states.read_model("tiny", "v1")
    assert record is not None
    assert (record.state, record.verified_at, record.objects) == (ModelState.VERIFIED, NOW + 5, len(FILES))
    assert record.manifest_sha256 == world.manifest.digest()


def test_what_is_there_and_right_is_not_copied_again(world: World) -> None:
    world.pull()
    copied = len(world.target.copied)
    assert world.pull("two").due == 0
    assert len(world.target.copied) == copied


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        (FIRST, None, "missing"),
        (SECOND, b"short", "size"),
        (FIRST, FILES[FIRST][:-1] + b"\x7f", "bytes"),
        (INDEX, FILES[INDEX].replace(b"w0", b"w9"), "bytes"),
    ],
)
def test_what_is_damaged_is_found_by_kind_and_copied_alone(world: World, path: str, body: Any, kind: str) -> None:
    world.pull()
    world.target.copied.clear()
    if body is None:
        del world.target.objects[PREFIX + path]
    else:
        world.target.objects[PREFIX + path] = body
    plan = world.plan("two")
    assert (plan.due, plan.damaged) == (1, {kind: 1})
    assert world.state() is ModelState.REPLICATING  # nothing may newly point at it meanwhile
    world.pull("three")
    assert world.target.copied == [PREFIX + path]
    assert world.state() is ModelState.VERIFIED


def test_a_damaged_source_makes_no_verified_copy(world: World) -> None:
    world.source.objects[PREFIX + FIRST] = FILES[FIRST][:-1] + b"\x7f"
    plan = world.plan()
    with pytest.raises(ModelDamagedError, match="the manifest says"):
        pulling.copy_batch(CopyStep(plan=plan, batch=plan.batches[0]), world.target, "source")
    assert len(world.target.copied) == len(FILES)  # the others were copied all the same
    assert pulling.verify(world.manifest, world.target) == {FIRST: Damage.BYTES}


def test_damage_is_told_with_the_error_of_the_batch_that_caused_it(world: World) -> None:
    plan = world.plan()
    cause = json.dumps({"errorMessage": "CopyObject: AccessDenied", "errorType": "AccessDeniedError"})
    step = VerifyStep.model_validate(
        {"plan": plan.model_dump(), "copies": [{"error": {"Error": "AccessDeniedError", "Cause": cause}}]}
    )
    said = pulling.note_damage(step, world.manifest, {FIRST: Damage.MISSING}, world.states, NOW)
    assert said == (
        f"tiny v1 is not whole in us-west-2: 1 missing ({FIRST}); 1 of 1 batches failed, the first: "
        "CopyObject: AccessDenied"
    )
    assert world.state() is ModelState.REPLICATING


def test_one_object_that_fails_stops_no_other_and_a_second_attempt_copies_it_alone(world: World) -> None:
    plan = world.plan()
    world.target.faults.fail(f"copy {PREFIX}{FIRST}", ThrottledError("SlowDown"), times=1)
    step = CopyStep(plan=plan, batch=plan.batches[0])
    with pytest.raises(ThrottledError):
        pulling.copy_batch(step, world.target, "source")
    again = pulling.copy_batch(step.model_copy(update={"attempt": 1}), world.target, "source")
    assert (again.copied, again.bytes) == (1, len(FILES[FIRST]))
    assert len(world.target.copied) == len(FILES)
    assert pulling.verify(world.manifest, world.target) == {}


def test_uploads_that_were_cut_off_are_given_up_before_the_copy(world: World) -> None:
    world.target.uploads = [PREFIX + FIRST, "models/other/x"]
    assert world.plan().aborted_uploads == 1
    assert world.target.uploads == ["models/other/x"]


def test_a_header_that_cannot_be_read_is_damage_even_where_the_checksum_fits(world: World) -> None:
    world.pull()
    world.target.faults.fail("read", ModelDamagedError("cannot be decrypted"), times=1)
    assert list(pulling.verify(world.manifest, world.target).values()) == [Damage.UNREADABLE]


def test_golden_answers_come_with_the_model_and_never_replace_those_recorded_here(world: World) -> None:
    world.pull()
    assert world.golden.read_golden("tiny", "v1") == world.manifest.golden
    recorded = world.golden.kept["tiny", "v1"]
    world.pull("two")
    assert world.golden.kept["tiny", "v1"] is recorded


def test_a_live_model_that_was_mended_is_live_again(world: World) -> None:
    world.pull()
    record = world.states.read_model("tiny", "v1")
    assert record is not None
    world.states.write_model(record.live("version 3 points at it", NOW + 6))
    del world.target.objects[PREFIX + FIRST]
    world.pull("two")
    assert world.state() is ModelState.LIVE


def test_another_models_manifest_by_its_name_is_not_written_over(world: World) -> None:
    world.target.objects[manifest_key("tiny", "v1")] = b"another"
    with pytest.raises(InvalidInputError, match="another model's"):
        world.pull()


def test_figures_are_of_what_was_copied_and_found(world: World) -> None:
    plan = world.plan()
    copied = pulling.copy_batch(CopyStep(plan=plan, batch=BatchOf(first=0, count=2)), world.target, "source")
    figures = pulling.copy_figures(copied, 2.0)
    assert figures["ModelObjectsCopied"] == 2
    assert figures["ModelBytesPerSecond"] == figures["ModelBytesCopied"] / 2
    assert pulling.copy_figures(copied, 0)["ModelBytesPerSecond"] == 0
    assert pulling.verify_figures(world.manifest, {FIRST: Damage.MISSING})["ModelVerified"] == 0
    assert pulling.metric_name(plan) == "tiny v1"


# Where S3's own rule brings the model


LIMITS = Limits()


def left(world: World) -> PullPlan:
    found = pulling.plan(ASKED, world.manifest, WEST, world.target, "one", NOW, left_to_s3=True)
    return s3_watching.begin(found, NOW)


def brought(world: World, *paths: str) -> None:
    for path in paths:
        world.target.objects[PREFIX + path] = FILES[path]


def marked(world: World, status: str, *paths: str) -> None:
    world.source.statuses.update({PREFIX + path: status for path in paths})


def test_what_a_rule_brings_is_waited_for_and_never_copied(world: World) -> None:
    marked(world, "PENDING", *FILES)
    plan = left(world)
    assert (plan.s3.ended, plan.batches, plan.due) == (False, [], len(FILES))
    brought(world, FIRST)
    plan = s3_watching.watch(plan, world.source, world.target, LIMITS, NOW + 20)
    assert (plan.s3.ended, plan.due, plan.s3.left) == (False, len(FILES) - 1, {"pending": len(FILES) - 1})
    assert (plan.s3.progressed_at, plan.batches) == (NOW + 20, [])
    brought(world, *FILES)
    plan = s3_watching.watch(plan, world.source, world.target, LIMITS, NOW + 40)
    assert (plan.s3.ended, plan.due, plan.batches, plan.s3.left) == (True, 0, [], {})
    assert plan.s3.reason == f"S3 brought {len(FILES)} of {len(FILES)} objects"
    assert (world.target.copied, plan.s3.due) == ([], len(FILES))
    assert pulling.verify(world.manifest, world.target) == {}


def test_what_s3_fails_to_bring_is_copied_and_nothing_else(world: World) -> None:
    marked(world, "FAILED", FIRST)
    plan = left(world)
    brought(world, *(path for path in FILES if path != FIRST))
    plan = s3_watching.watch(plan, world.source, world.target, LIMITS, NOW + 5)
    assert (plan.s3.ended, plan.s3.left, plan.due_bytes) == (True, {"failed": 1}, len(FILES[FIRST]))
    assert f"copied by us: 1 FAILED ({FIRST})" in plan.s3.reason
    copies = [pulling.copy_batch(CopyStep(plan=plan, batch=batch), world.target, "source") for batch in plan.batches]
    assert world.target.copied == [PREFIX + FIRST]
    status = pulling.status(VerifyStep(plan=plan, copies=copies), world.manifest, 0, NOW + 9)
    assert (status.copied, status.by_s3, status.s3_left) == (1, len(FILES) - 1, {"failed": 1})
    assert status.s3_reason == plan.s3.reason


def test_an_object_that_came_with_other_bytes_has_not_come(world: World) -> None:
    marked(world, "COMPLETED", *FILES)
    plan = left(world)
    brought(world, *FILES)
    world.target.objects[PREFIX + FIRST] = FILES[FIRST][:-1] + b"\x7f"
    plan = s3_watching.watch(plan, world.source, world.target, LIMITS, NOW + 5)
    assert (plan.s3.ended, plan.due, plan.s3.left) == (True, 1, {"completed": 1})


def test_a_look_that_is_repeated_finds_the_same(world: World) -> None:
    marked(world, "PENDING", *FILES)
    plan = left(world)
    brought(world, FIRST)
    first, again = (s3_watching.watch(plan, world.source, world.target, LIMITS, NOW + 5) for _ in range(2))
    assert first.s3 == again.s3
    assert first.due == again.due


def test_looks_become_rarer_while_nothing_comes_and_their_figures_are_told(world: World) -> None:
    marked(world, "PENDING", *FILES)
    marked(world, "FAILED", FIRST)
    plan = left(world)
    waits = []
    for number in range(8):
        plan = s3_watching.watch(plan, world.source, world.target, LIMITS, NOW + number)
        waits.append(plan.s3.wait_seconds)
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    missing = len(FILES)
    expected = {"ModelS3Missing": missing, "ModelS3Pending": missing - 1, "ModelS3Failed": 1}
    assert s3_watching.figures(plan) == expected


def test_with_a_rule_uploads_that_lie_here_may_be_s3s_own_and_are_left_alone(world: World) -> None:
    world.target.uploads = [PREFIX + FIRST]
    assert (left(world).aborted_uploads, world.target.uploads) == (0, [PREFIX + FIRST])


def test_with_a_rule_and_nothing_due_nobody_waits(world: World) -> None:
    brought(world, *FILES)
    assert left(world).s3.ended


def test_damage_is_told_with_what_s3_said(world: World) -> None:
    marked(world, "FAILED", FIRST)
    plan = s3_watching.watch(left(world), world.source, world.target, Limits(unmarked=0), NOW + 5)
    step = VerifyStep(plan=plan, copies=[])
    said = pulling.note_damage(step, world.manifest, {FIRST: Damage.MISSING}, world.states, NOW)
    assert "; by its rule S3 brought 0 of" in said
    assert f"1 FAILED ({FIRST})" in said
