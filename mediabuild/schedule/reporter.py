"""Receives doit's reporter calls: prints the user's own tasks as doit does; the pipeline's tasks say it with events.

Not here: those events (`runner`).
"""

from __future__ import annotations

from typing import Any

from doit.reporter import ConsoleReporter

from mediabuild.schedule.state import is_group, pipeline_task


class Reporter(ConsoleReporter):  # type: ignore[misc]
    """doit's own lines, for the user's own tasks."""

    desc = "console lines and events of the pipeline"

    def execute_task(self, task: Any) -> None:
        """A task starts; the pipeline's were announced with their reasons."""
        if pipeline_task(task) is None:
            super().execute_task(task)

    def skip_uptodate(self, task: Any) -> None:
        """A task is up to date."""
        if pipeline_task(task) is None:
            super().skip_uptodate(task)

    def skip_ignore(self, task: Any) -> None:
        """A task is ignored."""
        if pipeline_task(task) is None and not is_group(task):
            super().skip_ignore(task)
