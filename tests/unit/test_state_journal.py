"""The state journal: a snapshot and the changes after it give the state at a moment, and what is missing is named."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from standfast.errors import InvalidInputError, JournalDamagedError
from standfast.state_journal import (
    Change,
    DamagedPiece,
    ItemKey,
    Piece,
    Snapshot,
    by_hour,
    reads_from,
    replay,
    seal,
    unseal,
)

NOW = 1_795_000_000.0
NEVER_QUIET = 1e12


def key(name: str = "SCOPE") -> ItemKey:
    return ItemKey("state", "us-east-1", name)


def item(value: int) -> dict[str, Any]:
    return {"value": {"N": str(value)}}


def change(sequence: int, at: float, old: Any, new: Any, name: str = "SCOPE") -> Change:
    return Change(key(name), sequence, at, old, new)


def piece(*changes: Change) -> Piece:
    return unseal("k", seal("chat", "us-east-1", "state", changes))


def snapshot(items: dict[ItemKey, Any] | None = None, began_at: float = NOW, ended_at: float = NOW + 1) -> Snapshot:
    return Snapshot(items or {}, began_at, ended_at)


@dataclass
class Region:
    """A table that is written to, its stream, and what it held after each second."""

    items: dict[ItemKey, Any] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    after: dict[float, dict[ItemKey, Any]] = field(default_factory=dict)

    def write(self, at: float, name: str, value: int | None) -> None:
        old, new = self.items.get(key(name)), None if value is None else item(value)
        if old is None and new is None:
            return
        self.changes.append(change(len(self.changes), at, old, new, name))
        self.items = {k: v for k, v in self.items.items() if k != key(name)} | ({key(name): new} if new else {})
        self.after[at] = dict(self.items)

    def at(self, moment: float) -> dict[ItemKey, Any]:
        times = [at for at in self.after if at <= moment]
        return self.after[max(times)] if times else {}


WRITES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.none() | st.integers(0, 3)), min_size=1, max_size=40
)


def written(writes: list[tuple[int, str, int | None]]) -> Region:
    region, at = Region(), NOW
    for wait, name, value in writes:
        at += wait
        region.write(at, name, value)
    return region


def read_one_after_the_other(region: Region, began_at: float) -> Snapshot:
    """As a scan reads: each item a second later than the one before it."""
    names, found = "abc", {}
    for second, name in enumerate(names):
        stood = region.at(began_at + second).get(key(name))
        if stood is not None:
            found[key(name)] = stood
    return Snapshot(found, began_at, began_at + len(names) - 1)


@settings(max_examples=200, deadline=None)
@given(WRITES, st.integers(0, 30), st.integers(0, 60), st.randoms(use_true_random=False))
def test_a_snapshot_read_while_others_write_and_the_journal_give_the_state_at_each_moment(
    writes: list[tuple[int, str, int | None]], began: int, later: int, random: Any
) -> None:
    region = written(writes)
    taken = read_one_after_the_other(region, NOW + began)
    moment = taken.ended_at + later
    pieces = [piece(each) for each in region.changes if each.at >= reads_from(taken)]
    pieces += pieces[:2]  # delivered twice
    random.shuffle(pieces)

    replayed = replay(taken, pieces, moment, quiet_seconds=NEVER_QUIET)

    assert replayed.items == region.at(moment)
    assert replayed.gaps == ()


@settings(max_examples=200, deadline=None)
@given(WRITES, st.data())
def test_a_lost_change_is_named_as_soon_as_its_item_is_written_again(
    writes: list[tuple[int, str, int | None]], data: st.DataObject
) -> None:
    region = written(writes)
    if not region.changes:
        return
    lost = data.draw(st.sampled_from(region.changes))
    kept = [each for each in region.changes if each != lost]
    again = [each for each in kept if each.key == lost.key and each.sequence > lost.sequence]
    taken = snapshot(began_at=NOW - 10, ended_at=NOW - 9)

    replayed = replay(taken, [piece(each) for each in kept], NOW + 1e6, quiet_seconds=NEVER_QUIET)

    if again and lost.old != lost.new:
        assert any(str(lost.key) in gap.reason and gap.until == again[0].at for gap in replayed.gaps)
    elif not again:
        assert replayed.gaps == ()


def test_the_gap_says_which_item_changed_unseen_and_when() -> None:
    pieces = [piece(change(1, NOW + 10, None, item(1))), piece(change(3, NOW + 20, item(2), item(3)))]
    [gap] = replay(snapshot(), pieces, NOW + 30).gaps
    assert gap.reason == ("state us-east-1 SCOPE was changed between 1795000010 and 1795000020, and no piece says how")


def test_a_change_that_is_lost_right_after_the_snapshot_is_named() -> None:
    taken = snapshot({key(): item(1)})
    [gap] = replay(taken, [piece(change(2, NOW + 50, item(2), item(3)))], NOW + 60).gaps
    assert "between the snapshot and 1795000050" in gap.reason


def test_a_change_after_the_moment_is_left_out() -> None:
    changes = [change(1, NOW + 10, None, item(1)), change(2, NOW + 11, item(1), item(2))]
    replayed = replay(snapshot(), [piece(*changes)], NOW + 10)
    assert replayed.items == {key(): item(1)}
    assert (replayed.changes, replayed.last_change_at) == (1, NOW + 10)


def test_what_was_deleted_is_gone() -> None:
    taken = snapshot({key(): item(1)})
    assert replay(taken, [piece(change(1, NOW + 9, item(1), None))], NOW + 10).items == {}


def test_a_moment_before_the_snapshot_was_complete_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="take an older snapshot"):
        replay(snapshot(), [], NOW)


def test_a_long_silence_is_named_for_it_may_be_a_journal_that_does_not_hear() -> None:
    [gap] = replay(snapshot(), [piece(change(1, NOW + 10, None, item(1)))], NOW + 200).gaps
    assert gap.since == NOW + 10
    assert "nothing was written for 190 s" in gap.reason


def test_a_damaged_piece_is_a_gap_of_its_hour() -> None:
    damaged = DamagedPiece("journal/x", NOW, "journal/x does not have the SHA-256 that it names")
    [gap] = replay(snapshot(), [damaged], NOW + 60).gaps
    assert (gap.since, gap.until, gap.reason) == (NOW, NOW + 3600, damaged.reason)


def test_every_changed_byte_of_a_piece_is_noticed() -> None:
    text = seal("chat", "us-east-1", "state", [change(7, NOW, item(1), item(2))])
    original = unseal("k", text)
    for place in range(len(text)):
        for other in ("0", '"', "}", "x"):
            if text[place] == other:
                continue
            try:
                read = unseal("k", text[:place] + other + text[place + 1 :])
            except JournalDamagedError:
                continue
            assert read == original  # a space of JSON's own, at the most


def test_a_piece_of_another_schema_is_refused_by_name() -> None:
    body = json.loads(seal("chat", "us-east-1", "state", [change(7, NOW, item(1), item(2))]))
    with pytest.raises(JournalDamagedError, match="schema 2; this release knows"):
        unseal("k", json.dumps({**body, "schema": 2}))


def test_an_empty_piece_is_refused() -> None:
    with pytest.raises(JournalDamagedError, match="holds no change"):
        unseal("k", seal("chat", "us-east-1", "state", []))


def test_a_piece_stays_within_its_hour() -> None:
    hour = NOW - NOW % 3600
    changes = [change(1, hour + 3598, None, item(1)), change(2, hour + 3599, item(1), item(2))]
    late = replace(changes[0], sequence=3, at=hour + 3600)
    assert list(by_hour([*changes, late])) == [tuple(changes), (late,)]
