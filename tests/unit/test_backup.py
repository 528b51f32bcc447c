"""Snapshots: what is good is opened, and whatever is not is refused with a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from standfast import backup
from standfast.backup import Manifest, Opened
from standfast.errors import BackupRefusedError
from standfast.state_journal import ItemKey
from tests.builders import NOW, SCOPE

FLEET = "chat"
ITEMS: Mapping[ItemKey, Mapping[str, object]] = {
    ItemKey("cluster", SCOPE, "SCOPE"): {"schema": {"N": "1"}, "reason": {"S": "día"}},
    ItemKey("regions", "FLEET", "SWITCH"): {"schema": {"N": "1"}},
}


def written(began_at: float = NOW, sequence: int = 1, *, fleet: str = FLEET, region: str = SCOPE) -> dict[str, bytes]:
    """The objects of a small snapshot, by key."""
    name = backup.snapshot_id(began_at, sequence)
    contents = {part: {"said": part} for part in backup.PARTS} | {"state": backup.state_content(ITEMS)}
    sealed = [backup.sealed_part(part, content) for part, content in contents.items()]
    made = Manifest(fleet, region, name, began_at, began_at + 0.4, tuple(part for part, _ in sealed))
    objects = {backup.part_key(region, name, part.name): body for part, body in sealed}
    return {**objects, backup.manifest_key(region, name): made.seal()}


NAME = backup.snapshot_id(NOW, 1)
MANIFEST = backup.manifest_key(SCOPE, NAME)


def opened(objects: Mapping[str, bytes], name: str = NAME, now: float = NOW + 60) -> Opened:
    return backup.open_snapshot(name, objects.get, fleet=FLEET, region=SCOPE, now=now)


def refusal(objects: Mapping[str, bytes], name: str = NAME, now: float = NOW + 60) -> str:
    with pytest.raises(BackupRefusedError) as refused:
        opened(objects, name, now)
    return str(refused.value)


def resealed(objects: Mapping[str, bytes], **changes: object) -> dict[str, bytes]:
    """The same snapshot with a manifest that is sealed anew over other words."""
    manifest = opened(objects).manifest
    return {**objects, MANIFEST: replace(manifest, **changes).seal()}  # type: ignore[arg-type]


def test_a_snapshot_comes_back_as_it_was_written() -> None:
    found = opened(written())
    assert (found.cut.items, found.cut.began_at, found.cut.ended_at) == (ITEMS, NOW, NOW + 0.4)


def test_a_folder_without_a_manifest_was_never_finished() -> None:
    objects = written()
    del objects[MANIFEST]
    assert refusal(objects) == f"{NAME} has no manifest: it was never finished"


@pytest.mark.parametrize("part", backup.PARTS)
def test_a_missing_part_is_named(part: str) -> None:
    objects = written()
    del objects[backup.part_key(SCOPE, NAME, part)]
    assert refusal(objects) == f"{NAME} is partial: its part {part} is missing"


def test_every_byte_that_is_flipped_is_found() -> None:
    """Every byte of every object: one bit of each, another one from byte to byte."""
    objects = written()
    flips = 0
    for key, body in objects.items():
        for at, byte in enumerate(body):
            flipped = body[:at] + bytes([byte ^ (1 << at % 8)]) + body[at + 1 :]
            assert refusal({**objects, key: flipped})
            flips += 1
    assert flips == sum(map(len, objects.values()))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_is_cut_off_added_or_overwritten_is_found(data: st.DataObject) -> None:
    objects = written()
    key = data.draw(st.sampled_from(sorted(objects)))
    body = objects[key]
    at = data.draw(st.integers(0, len(body)))
    other = body[:at] + data.draw(st.binary(max_size=12)) + body[at + data.draw(st.integers(0, 20)) :]
    if other == body:
        assert opened({**objects, key: other})
    else:
        assert refusal({**objects, key: other})


def test_a_manifest_that_is_written_another_way_is_not_as_it_was_sealed() -> None:
    objects = written()
    spaced = json.dumps(json.loads(objects[MANIFEST])).encode()
    assert "does not have the SHA-256 that it names" in refusal({**objects, MANIFEST: spaced})


def test_another_schema_is_refused_and_not_guessed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "SCHEMA", 2)
    objects = written()
    monkeypatch.undo()
    assert refusal(objects) == f"{NAME} is of schema 2; this release knows 1"


def test_another_fleets_or_regions_snapshot_is_foreign() -> None:
    objects = written()
    assert refusal(resealed(objects, fleet="other")) == f"{NAME} is foreign: it is of the fleet other, not of {FLEET}"
    assert "is foreign: it is of eu-west-1" in refusal(resealed(objects, region="eu-west-1"))


def test_a_cut_from_the_future_is_refused_and_a_clock_that_is_a_little_off_is_not() -> None:
    objects = written()
    assert "is from the future: its cut ends 400 s from now" in refusal(objects, now=NOW - 400 + 0.4)
    assert opened(objects, now=NOW - 200)


def test_an_old_snapshot_in_a_newer_ones_place_is_a_replayed_one() -> None:
    older, newer = written(NOW - 3600), backup.snapshot_id(NOW, 1)
    moved = {key.replace(backup.snapshot_id(NOW - 3600, 1), newer): body for key, body in older.items()}
    assert "is a replayed one: its manifest is of" in refusal(moved, newer)


def test_an_old_manifest_over_newer_parts_is_a_replayed_one() -> None:
    objects = written()
    older = written(NOW - 3600)[backup.manifest_key(SCOPE, backup.snapshot_id(NOW - 3600, 1))]
    assert "is a replayed one" in refusal({**objects, MANIFEST: older})


def test_a_manifest_that_leaves_a_part_out_is_partial() -> None:
    objects = written()
    assert "is partial: its parts are not" in refusal(resealed(objects, parts=opened(objects).manifest.parts[1:]))


def test_a_part_in_anothers_place_is_refused() -> None:
    objects = written()
    parts = opened(objects).manifest.parts
    swapped = tuple(
        replace(part, name={"models": "traffic", "traffic": "models"}.get(part.name, part.name)) for part in parts
    )
    keys = (backup.part_key(SCOPE, NAME, "models"), backup.part_key(SCOPE, NAME, "traffic"))
    moved = {**objects, keys[0]: objects[keys[1]], keys[1]: objects[keys[0]]}
    assert "says that it is" in refusal(resealed(moved | objects, parts=swapped) | {key: moved[key] for key in keys})


def test_the_newest_good_one_is_restored_and_why_newer_ones_are_not() -> None:
    objects = {**written(NOW - 7200), **written(NOW - 3600), **written()}
    del objects[MANIFEST]
    damaged = backup.part_key(SCOPE, backup.snapshot_id(NOW - 3600, 1), "state")
    objects[damaged] = objects[damaged][:-1]
    names = [backup.snapshot_id(NOW - hours * 3600, 1) for hours in range(3)]
    found = backup.newest_good(names, lambda name: opened(objects, name))
    assert found.opened is not None
    assert found.opened.manifest.snapshot_id == names[2]
    assert [each.snapshot_id for each in found.refused] == names[:2]
    assert "never finished" in found.refused[0].reason
    assert "was tampered with: its part state" in found.refused[1].reason


def test_none_is_good_where_all_are_refused() -> None:
    found = backup.newest_good([NAME], lambda name: opened({}, name))
    assert found.opened is None
    assert len(found.refused) == 1


@pytest.mark.parametrize("name", ["", "2026/11/26", "2026/13/40/T250000Z-0001", "2026/11/26/T131500Z", "../x"])
def test_what_is_no_id_has_no_moment(name: str) -> None:
    assert backup.moment_of(name) is None


@given(st.integers(0, 4_000_000_000), st.integers(1, 20_000))
def test_an_id_says_its_moment_and_later_ones_sort_behind(at: int, sequence: int) -> None:
    assert backup.moment_of(backup.snapshot_id(at, sequence)) == at
    assert backup.snapshot_id(at, 1) < backup.snapshot_id(at + 1, 1)
