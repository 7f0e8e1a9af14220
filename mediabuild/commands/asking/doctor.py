"""`doctor`: what this machine has of what the pipeline uses, for people and as JSON.

Not here: looking (`findings`), and whether stages are stale (`commands`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.commands.asking.findings import examine
from mediabuild.commands.asking.found import Findings
from mediabuild.commands.base import PipelineCommand
from mediabuild.commands.inspection import sized
from mediabuild.machine.here import PIPELINE
from mediabuild.reporting.console import typed
from mediabuild.schedule.loader import option

ALONE = "or, without one: mediabuild talk.mp4"


class Doctor(PipelineCommand):
    """What is here, what is missing."""

    name = "doctor"
    doc_purpose = "show what the pipeline uses of this machine, and what to type for what is missing"
    doc_usage = ""
    doc_description = None
    cmd_options = (option("as_json", "json", "as JSON", bool, False),)

    def execute(self, params: Any, args: list[str]) -> int:
        """Look; the pipeline's jobs are not loaded, so it works before there is a recording."""
        self.loader.setup(params)
        self.loader.read_options(params)
        found = examine(Path.cwd() / PIPELINE, self.loader.options.device)
        print(msgspec.json.encode(found).decode() if params["as_json"] else "\n".join(lines(found)))
        return 1 if found.missing else 0


def lines(found: Findings) -> Iterator[str]:
    """The findings for people."""
    yield f"mediabuild    {found.mediabuild}"
    if not found.project:
        yield f"project       none here: mediabuild init   ({ALONE})"
    yield f"device        {found.device}"
    for interpreter in found.interpreters:
        yield f"python        {interpreter.python}  {interpreter.version}  [{', '.join(interpreter.devices)}]"
        yield f"              runs {', '.join(interpreter.stages)}"
        there = [f"{name} {number}" for name, number in interpreter.packages.items() if number]
        if there:
            yield f"              has {', '.join(there)}"
    yield f"ffmpeg        {found.ffmpeg or 'none'}"
    if found.ffmpeg_version:
        yield f"              {found.ffmpeg_version}"
    for model in found.models:
        if model.path:
            shown = os.path.relpath(model.path) if model.path.startswith(os.getcwd()) else model.path
            yield f"model         {model.name}  {sized(model.size_bytes)}  {model.digest[:20]}…"
            yield f"              {shown}  ({model.stage})"
    yield f"apertium      {found.apertium or 'none'}  {', '.join(found.apertium_pairs)}".rstrip()
    yield f"font          {found.font or 'none: subtitles can not be burnt in'}"
    yield f"free disk     {sized(found.free_disk_bytes)}"
    for missing in found.missing:
        yield f"MISSING       {missing.what}"
        if missing.hint:
            yield f"  hint: {typed(missing.hint)}"
    if not found.missing:
        yield "all that the pipeline uses is there" if found.project else "all that mediabuild uses is there"
