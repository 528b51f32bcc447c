"""A manifest is one text for one model, and what cannot be understood is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standfast.errors import CorruptStateError
from standfast.golden import Golden
from standfast.manifest import Manifest, ModelObject, manifest_key, parse_manifest

MANIFEST = Manifest(
    model="org/llama",
    version="v7",
    prefix="models/org/llama/v7/",
    format="safetensors",
    objects=(
        ModelObject("model-00001-of-00002.safetensors", 100, "a" * 64, "AAAAAAAAAAA=", 3),
        ModelObject("model-00002-of-00002.safetensors", 50, "b" * 64, "BAAAAAAAAAA=", 1),
        ModelObject("model.safetensors.index.json", 7, "c" * 64, "CAAAAAAAAAA="),
    ),
    index="model.safetensors.index.json",
    tokenizer_sha256="d" * 64,
    engine="vllm",
    engine_flags=("--max-model-len=8192",),
    golden=(Golden("0f3a", "The capital of France is", " Paris", -0.25),),
)


def test_what_is_written_is_read() -> None:
    assert parse_manifest(MANIFEST.canonical(), "v7") == MANIFEST
    assert MANIFEST.bytes == 157
    assert set(MANIFEST.by_key()) == {f"models/org/llama/v7/{each.path}" for each in MANIFEST.objects}


def test_equal_models_are_equal_texts_and_any_change_is_another_one() -> None:
    assert MANIFEST.digest() == replace(MANIFEST).digest()
    others = [replace(MANIFEST, version=None), replace(MANIFEST, engine_flags=()), replace(MANIFEST, golden=())]
    assert len({MANIFEST.digest(), *(other.digest() for other in others)}) == 4


def test_no_two_model_versions_share_a_key() -> None:
    keys = [manifest_key(*each) for each in [("a/b", None), ("a", "b"), ("a", None), ("a/b", "c"), ("a", "b/c")]]
    assert len(set(keys)) == len(keys)
    assert keys[:2] == ["manifests/a%2Fb.json", "manifests/a/b.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"objects": []},
        {"objects": [{"path": "a", "size": 1, "sha256": "x", "crc64nvme": "y", "tensors": 0}]},
        {"prefix": "elsewhere/"},
        {"prefix": "models/llama"},
        {"more": 1},
        {"golden": [{"nonce": "a"}]},
    ],
)
def test_a_manifest_of_another_release_or_by_hand_is_refused(change: dict[str, Any]) -> None:
    document = json.loads(MANIFEST.canonical()) | change
    with pytest.raises(CorruptStateError, match="the manifest v7 cannot be understood"):
        parse_manifest(json.dumps(document), "v7")


@given(st.text(max_size=40) | st.recursive(st.none() | st.integers(), st.lists, max_leaves=3).map(json.dumps))
def test_no_text_raises_anything_else(text: str) -> None:
    with pytest.raises(CorruptStateError):
        parse_manifest(text, "x")
