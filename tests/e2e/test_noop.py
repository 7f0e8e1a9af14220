"""When nothing changed, nothing runs, and every task says so."""

from __future__ import annotations

from tests.e2e.conftest import Project


def test_a_second_run_skips_every_task(chain: Project) -> None:
    """One `stage_skipped` event and one SKIPPED line per task, and no program started."""
    again = chain.run()
    assert again.status == 0
    assert again.ran == []
    assert again.skipped == ["A:one", "B:one", "C:one"]
    assert again.out.splitlines() == ["SKIPPED A:one", "SKIPPED B:one", "SKIPPED C:one"]
