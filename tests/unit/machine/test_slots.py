"""Slots are taken all or none, come back, and are shared by everybody who opens the same folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from mediabuild.machine.hardware.slots import Slots

CAPACITY = {"cpu": 2.0, "gpu": 2.0, "memory_gb": 4.5}


def test_gpus_are_handed_out_by_number(tmp_path: Path) -> None:
    """Two tasks get different GPUs, a third gets none until one is given back."""
    slots = Slots(tmp_path / "slots", CAPACITY)
    needs = {"cpu": 0, "gpu": 1}
    first, second = slots.take(needs), slots.take(needs)
    assert first is not None and second is not None
    assert {*first.gpus, *second.gpus} == {0, 1}
    assert slots.take(needs) is None
    first.give_back()
    first.give_back()
    third = slots.take(needs)
    assert third is not None and third.gpus == first.gpus


def test_what_does_not_fit_takes_nothing(tmp_path: Path) -> None:
    """A task that gets its GPU but not its cores gives the GPU back at once."""
    slots = Slots(tmp_path, CAPACITY)
    busy = slots.take({"cpu": 2})
    assert busy is not None
    assert slots.take({"cpu": 1, "gpu": 2}) is None
    both = slots.take({"cpu": 0, "gpu": 2})
    assert both is not None and both.gpus == (0, 1)


def test_more_than_there_is_means_alone(tmp_path: Path) -> None:
    """A task that needs more than the machine has gets all of it, instead of waiting for ever."""
    slots = Slots(tmp_path, CAPACITY)
    alone = slots.take({"cpu": 64, "memory_gb": 1000})
    assert alone is not None
    assert slots.take({"cpu": 1}) is None
    assert slots.take({"cpu": 0, "memory_gb": 0.5}) is None


def test_who_waits_at_the_turnstile_is_next(tmp_path: Path) -> None:
    """Two cores are wanted and one is busy: nobody else gets the other, until both were had."""
    ours, others = Slots(tmp_path, CAPACITY), Slots(tmp_path, CAPACITY)
    busy = others.take({"cpu": 1})
    assert busy is not None and ours.take({"cpu": 2}) is None
    assert ours.hold_back_others() and not others.hold_back_others()
    assert others.take({"cpu": 1}) is None
    busy.give_back()
    both = ours.take({"cpu": 2})
    assert both is not None
    ours.let_others()
    both.give_back()
    last = others.take({"cpu": 1})
    assert last is not None
    last.give_back()
    assert ours.hold_back_others()
    ours.close()
    assert others.hold_back_others()
    others.close()


def test_another_process_shares_them_and_its_death_gives_them_back(tmp_path: Path) -> None:
    """Held by another process: taken; that process killed: free."""
    code = (
        "import sys, time; from pathlib import Path; "
        "from mediabuild.machine.hardware.slots import Slots;"
        "slots = Slots(Path(sys.argv[1]), {'cpu': 1, 'gpu': 1, 'memory_gb': 1});"
        "held = slots.take({'cpu': 1, 'gpu': 1}); print(held is not None, flush=True); time.sleep(60)"
    )
    slots = Slots(tmp_path, {"cpu": 1, "gpu": 1, "memory_gb": 1})
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "True\n"
        assert slots.take({"cpu": 1}) is None
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    assert slots.take({"cpu": 1, "gpu": 1}) is not None


def test_lanes_get_what_is_spare_and_nothing_while_a_task_waits(tmp_path: Path) -> None:
    """Two runs may wait at once; a core that is free is for them, until neither waits any more."""
    ours, others, lanes = (Slots(tmp_path, CAPACITY) for _ in range(3))
    busy = ours.take({"cpu": 1})
    spare = lanes.take_spare({"cpu": 1})
    assert busy is not None and spare is not None and lanes.take_spare({"cpu": 1}) is None
    for run in (ours, others):
        assert run.take({"cpu": 1}) is None and run.short_of == "cpu"
        run.want(True)
    spare.give_back()
    assert lanes.take_spare({"cpu": 1}) is None
    ours.want(False)
    assert lanes.take_spare({"cpu": 1}) is None
    others.close()
    again = lanes.take_spare({"cpu": 1})
    assert again is not None
    again.give_back()
    busy.give_back()
