"""Standfast's sandbox: AWS, a GPU fleet and its clients on one machine, with no AWS account and no Docker."""

import sys
from pathlib import Path

# What the functions share comes from the layer's folder, as it does in Lambda.
_LAYER = str(Path(__file__).resolve().parent.parent / "layers" / "standfast" / "python")
if _LAYER not in sys.path:
    sys.path.insert(0, _LAYER)
