"""What a container may use counts, not what the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mediabuild.machine.hardware import cores, memory


@pytest.mark.parametrize(("text", "found"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 3), ("junk", 3)])
def test_cores_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, found: int) -> None:
    """Its quota, rounded up; never more than the process is bound to."""
    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(cores, "CGROUP_LIMIT", tmp_path / "cpu.max")
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    else:
        monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert cores.cores() == found


def test_memory_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its limit, where it has one that the machine can keep."""
    monkeypatch.setattr(memory, "CGROUP_LIMIT", tmp_path / "memory.max")
    whole_gb = memory.memory_gb()
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.memory_gb() == whole_gb
    (tmp_path / "memory.max").write_text("500000000\n")
    assert memory.memory_gb() == 0.5
