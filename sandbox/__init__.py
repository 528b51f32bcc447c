"""Standfast's sandbox: AWS, a GPU fleet and its clients on one machine, with no AWS account and no Docker."""

import sys
from pathlib import Path

# What the functions share comes from the layer's folder, as it does in Lambda; the gateway's package is not installed.
_ROOT = Path(__file__).resolve().parent.parent
for _folder in (str(_ROOT / "gateway"), str(_ROOT / "layers" / "standfast" / "python")):
    if _folder not in sys.path:
        sys.path.insert(0, _folder)
