"""doit's reporter interface, handed on to `report`; the user's own tasks look as they do in doit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doit.reporter import ConsoleReporter

from mediabuild.schedule.state import is_group, is_remake, pipeline_task

if TYPE_CHECKING:
    from mediabuild.reporting.report import Report


class Reporter(ConsoleReporter):  # type: ignore[misc]
    """Console lines and events for the pipeline's tasks, doit's own lines for others."""

    desc = "console lines and events of the pipeline"

    def __init__(self, outstream: Any, options: dict[str, Any]) -> None:
        super().__init__(outstream, options)
        self.report: Report | None = options.get("report")

    def execute_task(self, task: Any) -> None:
        """A task starts; the pipeline's were announced with their reasons."""
        if pipeline_task(task) is None:
            super().execute_task(task)

    def skip_uptodate(self, task: Any) -> None:
        """A task is up to date."""
        ours = pipeline_task(task)
        if ours is None:
            super().skip_uptodate(task)
        elif self.report is not None and not is_remake(task):
            self.report.skipped(ours)

    def skip_ignore(self, task: Any) -> None:
        """A task is ignored."""
        ours = pipeline_task(task)
        if self.report is not None and ours is not None:
            self.report.line("IGNORED", ours.name)
        elif not is_group(task):
            super().skip_ignore(task)
