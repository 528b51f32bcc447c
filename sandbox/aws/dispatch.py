"""Which of moto's services a request is for, found once for each host.

moto's server looks it up under one lock for every request, by listing its own folder: some two hundred calls of the
file system, after each of which any other thread may have the interpreter first. With three Regions at work, requests
waited for each other for seconds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from moto.moto_server.werkzeug_app import DomainDispatcherApplication

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_HOSTS: Final = 1024


def install() -> Callable[[], None]:
    """Have moto remember the service of a host. The result takes it back."""
    original = DomainDispatcherApplication.get_backend_for_host
    found = lru_cache(MOST_HOSTS)(original)

    def remembered(app: Any, host: str | None) -> Any:
        return found(app, host)

    DomainDispatcherApplication.get_backend_for_host = remembered

    def take_back() -> None:
        DomainDispatcherApplication.get_backend_for_host = original

    return take_back
