"""Versions of the configuration: one text for equal documents, overlays by field, differences in words."""

from __future__ import annotations

import copy
import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast import config_versions
from standfast.config_versions import ConfigVersion, canonical_text, difference, effective
from standfast.errors import CorruptStateError, InvalidInputError
from tests.builders import SCOPE, document, fleet

WATCHER = "us-east-2"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DOCUMENTS = st.dictionaries(
    st.text(min_size=1),
    st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=1), inner), max_leaves=20),
    max_size=6,
)


def shuffled(value: Any) -> Any:
    """The same with its keys in another order."""
    if isinstance(value, dict):
        return {name: shuffled(value[name]) for name in reversed(list(value))}
    return [shuffled(each) for each in value] if isinstance(value, list) else value


@given(DOCUMENTS)
def test_equal_documents_are_equal_texts_and_a_text_is_its_document(made: dict[str, Any]) -> None:
    text = canonical_text(made)
    assert canonical_text(shuffled(made)) == text
    assert json.loads(text) == made
    assert canonical_text(json.loads(text)) == text


@given(DOCUMENTS, DOCUMENTS)
def test_a_difference_is_empty_for_equal_texts_only(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert difference(one, shuffled(one)) == []
    if canonical_text(one) != canonical_text(other) and "." not in "".join(_names(one) | _names(other)):
        assert difference(one, other)


def _names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {*value, *(name for each in value.values() for name in _names(each))}
    return {name for each in value for name in _names(each)} if isinstance(value, list) else set()


@given(st.integers(1, 99_999_999), st.text())
def test_a_key_says_the_version_that_it_holds(number: int, text: str) -> None:
    version = ConfigVersion(number, config_versions.sha256(text))
    assert config_versions.version_of(version.key) == version
    assert version.key.startswith(config_versions.prefix(number))


@pytest.mark.parametrize("key", ["versions/7.json", "versions/00000007-abc.json", "other", ""])
def test_another_key_is_no_version(key: str) -> None:
    assert config_versions.version_of(key) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (date(2027, 1, 1), "failover.since: datetime.date(2027, 1, 1) is a date; write it in quotes"),
        ({7: "x"}, "failover.since: the key 7 is no text; write it in quotes"),
        (float("nan"), "failover.since: nan is no number that JSON knows"),
        ([1, {2: 3}], "failover.since.1: the key 2 is no text"),
    ],
)
def test_what_json_has_no_word_for_is_refused_by_its_path(value: object, words: str) -> None:
    with pytest.raises(InvalidInputError, match="failover") as refused:
        canonical_text({"failover": {"since": value}})
    assert words in str(refused.value)


def test_a_text_too_long_for_an_execution_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="100000 are possible"):
        canonical_text({"fleet": "x" * config_versions.MOST_BYTES})


def test_a_text_is_read_only_under_its_hash() -> None:
    text = canonical_text(document())
    version = ConfigVersion(7, config_versions.sha256(text))
    assert config_versions.read_text(text, version) == document()
    with pytest.raises(CorruptStateError, match=r"is not version 7 \(.*put back the object's earlier version"):
        config_versions.read_text(text + " ", version)


# Overlays


def with_overlay(overlay: object, region: str = SCOPE, **changes: Any) -> dict[str, Any]:
    return document(watchers=[WATCHER], overlays={region: overlay}, **changes)


def test_an_overlay_is_for_its_region_alone_and_lies_over_base_and_defaults() -> None:
    made = with_overlay({"failover": {"drain_seconds": 50}, "detection": {"failures": 5}}, WATCHER, moves={})
    assert effective(made, SCOPE) == fleet(watchers=[WATCHER])
    assert effective(made, WATCHER) == fleet(
        watchers=[WATCHER], failover={"drain_seconds": 50}, detection={"failures": 5}
    )


def test_null_in_an_overlay_removes_what_the_base_says() -> None:
    made = with_overlay({"model": {"version": None}}, model={"name": "tiny", "engine": "vllm", "version": "v1"})
    assert effective(made, SCOPE).model.version is None
    assert effective(made, WATCHER).model.version == "v1"


def test_a_list_is_replaced_whole() -> None:
    made = with_overlay({"moves": {"stages": [100]}}, moves={"stages": [10, 100]})
    assert effective(made, SCOPE).moves.stages == [100]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (document(overlays=7), "overlays is not a mapping; write `<Region>:`"),
        (document(overlays={"eu-west-9": {"moves": {}}}), "overlays.eu-west-9: no Region of this fleet; it has us-"),
        (with_overlay(None), f"overlays.{SCOPE} is not a mapping; write below it"),
        (with_overlay({}), f"overlays.{SCOPE} is not a mapping"),
        (
            with_overlay({"regions": {}}),
            f"overlays.{SCOPE}.regions: is the same in every Region; change it in the base",
        ),
        (with_overlay({"fleet": "x"}), f"overlays.{SCOPE}.fleet: is the same in every Region"),
        (with_overlay({"failover": 5}), f"overlays.{SCOPE}.failover: is a mapping in the base; write below it"),
        (with_overlay({"model": {"name": {"x": 1}}}), f"overlays.{SCOPE}.model.name: is no mapping in the base"),
        (with_overlay({"model": {"version": None}}), f"overlays.{SCOPE}.model.version: null removes a field, and"),
        (
            with_overlay({"failover": {"drain_seconds": -1}}),
            f"with overlays.{SCOPE} the FleetConfig: failover.drain_seconds",
        ),
        (with_overlay({"failovr": {"x": 1}}), "failovr is not a known field; remove it or mend its spelling"),
        (document(schema_version=2), "schema_version is 2, and this release knows up to 1; deploy the newer release"),
    ],
)
def test_a_wrong_overlay_is_refused_by_its_path_with_the_mend(made: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        config_versions.effective_everywhere(made)
    assert words in str(refused.value)


def test_a_wrong_overlay_of_one_region_is_refused_in_all() -> None:
    """Each Region judges the whole document: none takes what another must refuse."""
    made = with_overlay({"failover": 5}, WATCHER)
    with pytest.raises(InvalidInputError, match=f"overlays.{WATCHER}.failover"):
        config_versions.effective_everywhere(made)


def test_a_region_that_is_not_of_the_fleet_has_no_configuration() -> None:
    with pytest.raises(InvalidInputError, match="Region 'eu-west-1' is not in the FleetConfig; it has us-east-1"):
        effective(document(), "eu-west-1")


def test_the_regions_of_a_document_are_those_with_clusters_and_those_that_watch() -> None:
    assert config_versions.regions_of(document(watchers=[WATCHER])) == sorted([SCOPE, WATCHER])


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "failover": st.fixed_dictionaries({"drain_seconds": st.integers(0, 900)}),
        "detection": st.fixed_dictionaries({"failures": st.integers(2, 10), "fresh_seconds": st.integers(10, 60)}),
        "shedding": st.fixed_dictionaries({"maximum_percent": st.integers(50, 80)}),
    },
)


@given(FIELDS, FIELDS.filter(bool))
def test_an_overlay_changes_the_fields_that_it_names_and_no_other(
    base: dict[str, Any], overlay: dict[str, Any]
) -> None:
    made = document(watchers=[WATCHER], overlays={SCOPE: overlay}, **base)
    untouched = copy.deepcopy(made)
    plain, laid_over = (effective(made, region).model_dump(mode="json") for region in (WATCHER, SCOPE))
    named = {f"{part}.{name}" for part, fields in overlay.items() for name in fields}
    assert {line.partition(": ")[0] for line in difference(plain, laid_over)} <= named
    assert all(laid_over[part][name] == value for part, fields in overlay.items() for name, value in fields.items())
    assert made == untouched


# Differences


def test_a_difference_names_each_field_with_what_it_was_and_will_be() -> None:
    before = {"failover": {"drain_seconds": 30}, "watchers": [], "model": {"name": "a"}}
    after = {"failover": {"drain_seconds": 60}, "watchers": ["x"], "moves": {"stages": [1]}, "model": {}}
    assert difference(before, after) == [
        "failover.drain_seconds: 30 becomes 60",
        "model: {} is new",
        'model.name: "a" goes away',
        "moves.stages: [1] is new",
        'watchers: [] becomes ["x"]',
    ]


def test_the_first_configuration_is_new_as_a_whole() -> None:
    assert difference(None, document()) == ["everything: this Region has no configuration yet"]


@pytest.mark.parametrize(("was", "will"), [(1, 1.0), (1, True), ([1], [1.0]), (None, False), ("1", 1)])
def test_what_python_calls_equal_is_a_difference_where_json_differs(was: object, will: object) -> None:
    assert len(difference({"a": was}, {"a": will})) == 1


def test_a_long_value_is_cut_in_a_difference() -> None:
    (line,) = difference({"a": "x" * 500}, {"a": "y" * 500})
    assert len(line) < 200
