"""boto3 sessions of the sandbox's own process, which share what they read of botocore's data."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session

if TYPE_CHECKING:
    from botocore.loaders import Loader


@functools.cache
def _loader() -> Loader:
    """A loader keeps every model that it read: EC2's alone is 100,000 objects, and each session would have its own."""
    loader: Loader = botocore.session.get_session().get_component("data_loader")
    return loader


def new_session(**credentials: str) -> Any:
    """A session of its own, as threads need it."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _loader())
    return boto3.Session(botocore_session=core, **credentials)
