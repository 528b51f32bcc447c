"""documents/update_model.yaml on a sandbox node: what it fetches, what it refuses, and what the engine is given."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.fleet.shell import NodeShell, Ran

DOCUMENT = Path(__file__).resolve().parents[2] / "documents" / "update_model.yaml"
BUCKET = "chat-models-123456789012-us-east-1"
FILES = {"weights.gguf": b"weights", "deep/tokenizer.json": b"{}"}


class Engine:
    """An engine that remembers which folder it was started with."""

    def __init__(self) -> None:
        self.alive = True
        self.folder: Path | None = None
        self.starts: list[str] = []

    def load(self, folder: Path) -> None:
        self.folder = folder

    def begin(self) -> None:
        self.alive = True
        self.starts.append(self.folder.name if self.folder else "")

    def close(self) -> None:
        self.alive = False


class Bucket:
    """Objects by key, and which were asked for."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []

    def read(self, bucket: str, key: str) -> bytes | None:
        assert bucket == BUCKET
        self.asked.append(key)
        return self.objects.get(key)

    def put(self, version: str, files: dict[str, bytes]) -> str:
        """A version with its manifest, whose SHA-256 is answered."""
        for path, body in files.items():
            self.objects[f"models/tiny/{version}/{path}"] = body
        listed = [{"path": path, "sha256": hashlib.sha256(body).hexdigest()} for path, body in files.items()]
        text = json.dumps({"objects": listed}).encode()
        self.objects[f"manifests/tiny/{version}.json"] = text
        return hashlib.sha256(text).hexdigest()


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def node(tmp_path: Path, engine: Engine, bucket: Bucket) -> NodeShell:
    return NodeShell(tmp_path / "i-1", engine=engine, objects=bucket.read)


def load(node: NodeShell, name: str, version: str, sha256: str) -> Ran:
    document: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    given = {
        "Load": name,
        "Bucket": BUCKET,
        "Prefix": f"models/tiny/{version}/",
        "Manifest": f"manifests/tiny/{version}.json",
        "ManifestSha256": sha256,
    }
    text = "\n".join(document["mainSteps"][0]["inputs"]["runCommand"])
    for parameter, value in given.items():
        assert re.search(document["parameters"][parameter]["allowedPattern"], value)
        text = text.replace(f"{{{{ {parameter} }}}}", value)
    assert "{{" not in text
    return node.run(text, 60.0)


def said(ran: Ran) -> str:
    return ran.output.splitlines()[-1]


def test_a_version_is_fetched_checked_and_given_to_the_engine(node: NodeShell, engine: Engine, bucket: Bucket) -> None:
    ran = load(node, "one", "v8", bucket.put("v8", FILES))
    assert (ran.status, said(ran)) == (0, "the engine was restarted with the version"), ran
    assert engine.starts == ["v8"]
    assert engine.folder is not None
    assert {path: (engine.folder / path).read_bytes() for path in FILES} == FILES


def test_a_load_that_is_sent_twice_is_done_once(node: NodeShell, engine: Engine, bucket: Bucket) -> None:
    sha256 = bucket.put("v8", FILES)
    load(node, "one", "v8", sha256)
    again = load(node, "one", "v8", sha256)
    assert (again.status, said(again)) == (0, "this load was done already")
    assert engine.starts == ["v8"]


def test_the_way_back_fetches_nothing_and_a_third_version_takes_the_room_of_the_first(
    node: NodeShell, engine: Engine, bucket: Bucket
) -> None:
    old, new, third = (bucket.put(version, FILES) for version in ("v7", "v8", "v9"))
    load(node, "one", "v7", old)
    load(node, "two", "v8", new)
    bucket.asked.clear()
    assert load(node, "three", "v7", old).status == 0
    assert bucket.asked == []
    assert engine.starts == ["v7", "v8", "v7"]
    load(node, "four", "v9", third)
    assert engine.folder is not None
    assert sorted(each.name for each in engine.folder.parent.iterdir()) == ["v7", "v9"]


def test_a_damaged_object_is_refused_and_the_engine_keeps_what_it_has(
    node: NodeShell, engine: Engine, bucket: Bucket
) -> None:
    load(node, "one", "v7", bucket.put("v7", FILES))
    sha256 = bucket.put("v8", FILES)
    bucket.objects["models/tiny/v8/weights.gguf"] = b"weightz"
    ran = load(node, "two", "v8", sha256)
    assert (ran.status, said(ran)) == (1, "weights.gguf is damaged: its SHA-256 is not the manifest's")
    assert engine.starts == ["v7"]
    bucket.objects["models/tiny/v8/weights.gguf"] = b"weights"
    assert load(node, "three", "v8", sha256).status == 0
    assert engine.starts == ["v7", "v8"]


def test_another_manifest_than_was_meant_is_refused(node: NodeShell, engine: Engine, bucket: Bucket) -> None:
    bucket.put("v8", FILES)
    ran = load(node, "one", "v8", "0" * 64)
    assert (ran.status, said(ran)) == (1, "the manifest is not the one that was meant")
    assert engine.starts == []


def test_what_is_damaged_on_the_disk_is_fetched_anew(node: NodeShell, engine: Engine, bucket: Bucket) -> None:
    sha256 = bucket.put("v8", FILES)
    load(node, "one", "v8", sha256)
    assert engine.folder is not None
    (engine.folder / "weights.gguf").write_bytes(b"rotten!")
    bucket.asked.clear()
    assert load(node, "two", "v8", sha256).status == 0
    assert bucket.asked == ["models/tiny/v8/weights.gguf"]
    assert (engine.folder / "weights.gguf").read_bytes() == b"weights"


def test_a_path_that_leads_out_of_the_folder_is_refused(node: NodeShell, engine: Engine, bucket: Bucket) -> None:
    ran = load(node, "one", "v8", bucket.put("v8", {"../../../etc/model.env": b"MODEL_PREFIX=evil"}))
    assert ran.status == 1
    assert "a path leads out of the folder" in ran.errors
    assert engine.starts == []


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("Prefix", "models/../etc/"),
        ("Prefix", "models/.hidden/"),
        ("Prefix", "other/v8/"),
        ("Manifest", "manifests/$(reboot).json"),
        ("Bucket", "a'b"),
        ("Load", "one; reboot"),
        ("ManifestSha256", "v8"),
    ],
)
def test_a_parameter_that_could_do_more_is_refused(parameter: str, value: str) -> None:
    document = yaml.safe_load(DOCUMENT.read_text())
    assert not re.search(document["parameters"][parameter]["allowedPattern"], value)
