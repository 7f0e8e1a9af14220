"""When nothing changed, nothing runs, and every task says so."""

from __future__ import annotations

from tests.e2e.conftest import Project


def test_a_second_run_skips_every_task(chain: Project) -> None:
    """One `stage_skipped` event and one SKIPPED line per task, a last line, and no program started."""
    again = chain.run()
    assert again.status == 0
    assert again.ran == []
    assert again.skipped == ["A:one", "B:one", "C:one"]
    assert again.out.splitlines()[:-1] == ["SKIPPED A:one", "SKIPPED B:one", "SKIPPED C:one"]
    assert again.out.splitlines()[-1].strip().startswith("3 up to date in ")
