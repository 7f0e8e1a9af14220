"""The quick answer where nothing changed, from the index, before anything else is loaded.

Every source, output and manifest is looked at. Whatever is not as plain as that (an option, a changed
file, a stage that finds its models by itself, tasks of the user's own) goes the long way.

Not here: the index (`index`), the long way (`main`).
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time

from mediabuild import code_stamp
from mediabuild.machine.hardware.driver import surroundings
from mediabuild.machine.regular import check_readable
from mediabuild.reporting.console import SKIPS_SHOWN, Steady, colour_wanted, ending, shown
from mediabuild.reporting.eventlog import EventLog
from mediabuild.store import index, places

PIPELINE = "pipeline.toml"


def noop(events_to: str | None = None) -> bool:
    """Say that everything is up to date, if that is so and can be told at once; else do nothing.

    Args:
        events_to: a file that gets the events too; `-` is stdout.
    """
    gc.disable()  # many small objects are made, and none is garbage
    try:
        return _answered(events_to)
    finally:
        gc.freeze()  # nor later: the long way uses them to its end
        gc.enable()


def _answered(events_to: str | None) -> bool:
    started = time.monotonic()
    jobs_dir = _jobs_dir()
    file = places.index_file(jobs_dir)
    if os.path.islink(os.path.dirname(file)):  # the long way says what is wrong
        return False
    if index.take_glance(os.path.abspath(file), leave=True):  # the program asks at its start, and `run` once more
        return False
    found = index.load(file) if jobs_dir else index.Index()
    if not found.alone or found.others or found.code != code_stamp() or found.listing.changed():
        return False
    if found.surroundings != surroundings():
        return False
    same = list(found.unchanged(time.time()))
    if len(same) < len(found.jobs):
        index.leave_glance(index.Glance(os.path.abspath(file), found, same))
        return False
    with contextlib.suppress(OSError):
        os.utime(file)  # when the jobs were looked at last
    Steady(sys.stderr).write("".join(f"WARNING: {line}\n" for line in found.warnings))
    _report(found, EventLog(places.event_log(jobs_dir), events_to), started)
    return True


def _jobs_dir() -> str:
    try:
        check_readable(PIPELINE)
        with open(PIPELINE, "rb") as file:
            content = file.read()
        if b"jobs_dir" not in content:  # nor is anything else the index's, should it be there in another spelling
            return "jobs"
        import tomllib  # only here: it takes as long as all else that is imported

        jobs_dir = tomllib.loads(content.decode("utf-8-sig"))["pipeline"].get("jobs_dir", "jobs")
        return os.path.expanduser(jobs_dir) if isinstance(jobs_dir, str) and "\x00" not in jobs_dir else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""  # the long way says what is wrong


def _report(found: index.Index, log: EventLog, started: float) -> None:
    """The same lines and events as of a run that looked at each task."""
    said = "\n".join(entry.said for entry in found.jobs.values() if entry.said)
    count = said.count("\n") + bool(said)
    head = f'"ts":{round(time.time(), 6)},"run":"{log.run}"'
    skipped = f'{{"event":"stage_skipped",{head},'
    lines = [f'{{"event":"run_started",{head},"version":{json.dumps(found.version)},"tasks":{count}}}']
    lines += [skipped + said.replace("\n", "}\n" + skipped) + "}"] if said else []
    spared_s = round(sum(entry.spared_s for entry in found.jobs.values()), 3)
    counts = f'"status":0,"built":0,"restored":0,"skipped":{count},"failed":0'
    seconds = time.monotonic() - started
    lines.append(f'{{"event":"run_finished",{head},{counts},"seconds":{seconds:.3f},"spared_s":{spared_s}}}\n')
    log.write("\n".join(lines).encode())
    log.close()
    names = list(index.tasks_of(found.jobs.values())) if count <= SKIPS_SHOWN else [f"{count} tasks"]
    told = [("SKIPPED", name) for name in names] + [("", ending(f"{count} up to date", seconds, spared_s))]
    stream = sys.stderr if log.to_stdout else sys.stdout
    colour = colour_wanted(stream)
    Steady(stream).write("".join(shown(word, text, colour=colour) + "\n" for word, text in told))
