"""How all tests run: properties are tried on the same examples each time, and long tests begin first.

Not here: what tests work on (`e2e/conftest`, `stages/conftest`).
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

LONG = bool(os.environ.get("MEDIABUILD_LONG"))  # then each run tries other examples

# A busy machine fails no test: no example has a time limit.
settings.register_profile(
    "mediabuild", deadline=None, derandomize=not LONG, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("mediabuild")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first: one that began last would be waited for by all other cores."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
