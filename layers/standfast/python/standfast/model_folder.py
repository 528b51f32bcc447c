"""A model's folder: which files are its shards, and whether all that belong together are there.

Hugging Face's layout: `*.safetensors`, more than one with an index that says which tensor is in which shard
(https://huggingface.co/docs/transformers/big_models, "Sharded checkpoints"); or `*.gguf`, more than one named
`<name>-00001-of-00003.gguf` (llama.cpp, gguf-split).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from standfast import gguf, safetensors
from standfast.errors import InvalidInputError, ModelDamagedError
from standfast.golden import Golden

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

SAFETENSORS, GGUF, INDEX = ".safetensors", ".gguf", ".safetensors.index.json"
DESCRIPTION = "standfast.json"
"""May lie in the folder: `engine`, `engine_flags` and `golden` of this version."""
_EXAMPLE = '{"engine": "vllm", "engine_flags": ["--max-model-len=8192"], "golden": <the answers of record-golden>}'
FIRST_BYTES = 1 << 20
MOST_BYTES = 1 << 27
MOST_INDEX_BYTES = 64_000_000
NAMED = 5
_SPLIT = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")
_TOKENIZER = frozenset(
    {
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "vocab.json",
        "merges.txt",
    }
)


@dataclass(frozen=True, slots=True)
class Shard:
    """What a shard's header says: its tensors, and of a GGUF file the tokenizer's hash."""

    tensors: tuple[str, ...]
    tokenizer_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Description:
    """What `standfast.json` says."""

    engine: str = ""
    engine_flags: tuple[str, ...] = ()
    golden: tuple[Golden, ...] = ()


def format_of(paths: Collection[str]) -> Literal["safetensors", "gguf"]:
    """What the folder holds. Raises ModelDamagedError when it holds no model, or two kinds."""
    kinds = [kind for kind in (SAFETENSORS, GGUF) if any(path.endswith(kind) for path in paths)]
    if len(kinds) != 1:
        found = "safetensors and GGUF files both" if kinds else "neither a safetensors nor a GGUF file"
        raise ModelDamagedError(f"the folder holds {found}; give each model version a folder of its own")
    return "safetensors" if kinds == [SAFETENSORS] else "gguf"


def is_shard(path: str) -> bool:
    """Whether a file holds tensors."""
    return path.endswith((SAFETENSORS, GGUF))


def index_of(paths: Collection[str]) -> str:
    """The path of the shard index, empty where one file needs none. Raises ModelDamagedError."""
    found = sorted(path for path in paths if path.endswith(INDEX))
    if len(found) > 1:
        raise ModelDamagedError(f"the folder holds {len(found)} shard indexes: {_some(found)}; leave one")
    shards = [path for path in paths if path.endswith(SAFETENSORS)]
    if not found and len(shards) > 1:
        raise ModelDamagedError(f"there are {len(shards)} shards and no *{INDEX} that says what belongs together")
    return found[0] if found else ""


def read_shard(read: Callable[[int, int], bytes], size: int, name: str) -> Shard:
    """A shard's header. `read(start, length)` gives a part of the file. Raises ModelDamagedError."""
    if name.endswith(GGUF):
        length = FIRST_BYTES
        while length <= MOST_BYTES:
            header = gguf.read_header(read(0, min(length, size)), size, name)
            if header is not None:
                return Shard(header.tensors, header.tokenizer_sha256)
            length *= 4
        raise ModelDamagedError(f"{name}: its header has more than {MOST_BYTES} bytes")
    first = read(0, min(safetensors.LENGTH_BYTES, size)) if size else b""
    length = safetensors.header_length(first, size, name)
    return Shard(safetensors.tensor_names(read(safetensors.LENGTH_BYTES, length), size, name))


def check_index(text: bytes, shards: Mapping[str, Collection[str]], index: str) -> None:
    """Hold the index against the shards: path -> its tensors. Raises ModelDamagedError with what does not fit."""
    wrong = index_faults(text, shards, index)
    if wrong:
        raise ModelDamagedError(f"{index} and the shards do not fit: {'; '.join(wrong)}")


def index_faults(text: bytes, shards: Mapping[str, Collection[str]], index: str) -> list[str]:
    """What does not fit between an index and the shards that there are, in words."""
    try:
        document = json.loads(text)
        weight_map = document["weight_map"]
        told = {(str(tensor), _beside(index, shard)) for tensor, shard in weight_map.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return [f"the index cannot be read ({type(error).__name__})"]
    held = {(tensor, path) for path, tensors in shards.items() for tensor in tensors}
    missing = sorted({path for _, path in told} - set(shards))
    absent = sorted(tensor for tensor, path in told - held if path in shards)
    unnamed = sorted(tensor for tensor, _ in held - told)
    said = []
    if missing:
        said.append(f"{_some(missing)} named and missing")
    if absent:
        said.append(f"{_some(absent)} not in the shard that the index names")
    if unnamed:
        said.append(f"{_some(unnamed)} not in the index")
    return said


def check_splits(paths: Collection[str]) -> None:
    """Of GGUF files that were split, every part is there. Raises ModelDamagedError with those that are missing."""
    splits = [match for path in paths if (match := _SPLIT.fullmatch(path))]
    whole = [path for path in paths if path.endswith(GGUF) and not _SPLIT.fullmatch(path)]
    names = {(match[1], match[3]) for match in splits}
    if len(names) + len(whole) > 1:
        raise ModelDamagedError(f"the folder holds {len(names) + len(whole)} models; give each a folder of its own")
    for name, count in names:
        expected = {f"{name}-{number:05}-of-{count}{GGUF}" for number in range(1, int(count) + 1)}
        if missing := sorted(expected - set(paths)):
            raise ModelDamagedError(f"parts of {name} are missing: {_some(missing)}")


def tokenizer_sha256(hashes: Mapping[str, str], shards: Sequence[Shard]) -> str:
    """One hash over the tokenizer's files, path -> SHA-256, or of what a GGUF file holds of it; empty without any."""
    told = sorted(f"{sha256}  {path}\n" for path, sha256 in hashes.items() if path.rpartition("/")[2] in _TOKENIZER)
    if told:
        return hashlib.sha256("".join(told).encode()).hexdigest()
    return next((shard.tokenizer_sha256 for shard in shards if shard.tokenizer_sha256), "")


def read_description(text: bytes) -> Description:
    """What `standfast.json` says. Raises InvalidInputError with an example."""
    try:
        document: dict[str, Any] = json.loads(text)
        golden = tuple(Golden(**{**each, "logprob": float(each["logprob"])}) for each in document.pop("golden", []))
        flags = tuple(str(flag) for flag in document.pop("engine_flags", []))
        engine = str(document.pop("engine", ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidInputError(f"{DESCRIPTION} cannot be read ({error}); write {_EXAMPLE}") from error
    if document:
        raise InvalidInputError(f"{DESCRIPTION}: {', '.join(sorted(document))} is unknown; remove it")
    return Description(engine, flags, golden)


def _beside(index: str, shard: object) -> str:
    """The shard's path: the index names it as it lies beside itself."""
    return index.rpartition("/")[0] + "/" * ("/" in index) + str(shard)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
