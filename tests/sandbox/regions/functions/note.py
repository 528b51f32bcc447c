"""A function that notes where it runs."""

import json
import os
from typing import Any


def handler(event: dict[str, Any], _context: object) -> str:
    print(json.dumps({"region": os.environ["AWS_REGION"], "by": event.get("by", event.get("source"))}))
    return os.environ["AWS_REGION"]
