"""Promise 2: after any sequence of edits, kills and reruns, the outputs are those of a clean build.

A state machine makes a random graph and a random history of it: edits that hide behind old times, tampered
outputs and manifests, garbage in derived files, selections, overrides, kills between any two operations.
What every run does is compared with an oracle (`oracle`): each task that ran had a reason, and each that was
skipped had none. MEDIABUILD_LONG=MINUTES looks longer, with new seeds; a seed that fails is printed.
"""

from __future__ import annotations

import os
import random
import time

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.e2e.crash import Launcher
from tests.e2e.history import AnyHistory

LONG_MINUTES = float(os.environ.get("MEDIABUILD_LONG", "0"))
CI = settings(max_examples=12, stateful_step_count=20, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
LONG = settings(CI, max_examples=40, stateful_step_count=30, derandomize=False, print_blob=True)


@pytest.mark.skipif(LONG_MINUTES > 0, reason="the long mode runs instead")
def test_any_history_ends_with_a_clean_builds_bytes(launcher: Launcher) -> None:
    """Random histories, the same ones each time: nothing runs without a reason, nothing stale is skipped."""
    AnyHistory.launcher = launcher
    run_state_machine_as_test(AnyHistory, settings=CI)


@pytest.mark.skipif(not LONG_MINUTES, reason="MEDIABUILD_LONG=MINUTES runs it")
def test_new_histories_for_a_while(launcher: Launcher) -> None:
    """New random histories until the time is up."""
    AnyHistory.launcher = launcher
    deadline = time.monotonic() + LONG_MINUTES * 60
    while time.monotonic() < deadline:
        number = random.SystemRandom().randrange(2**32)
        print(f"seed {number}: after {AnyHistory.statistics()}", flush=True)
        hypothesis.seed(number)(AnyHistory)
        run_state_machine_as_test(AnyHistory, settings=LONG)
    print(AnyHistory.statistics())
