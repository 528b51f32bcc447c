"""What a Region serves, by its configuration, and the tokenizer's hash where the model is registered here.

That every replica serves it is proven elsewhere: its golden answers are asked for all the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from standfast.journal import Serving
from standfast.manifest import manifest_key, parse_manifest

if TYPE_CHECKING:
    from standfast.fleet import Model
    from standfast.model_ports import ModelStore


def serving_of(model: Model, tokenizer_sha256: str = "") -> Serving:
    """What the configuration says is served."""
    return Serving(model.name, model.version or "", tokenizer_sha256, model.engine)


def served(model: Model, store: ModelStore) -> Serving:
    """What is served. Raises CorruptStateError for a manifest that cannot be understood."""
    key = manifest_key(model.name, model.version)
    text = store.read(key)
    tokenizer = parse_manifest(text.decode(), key).tokenizer_sha256 if text is not None else ""
    return serving_of(model, tokenizer)
