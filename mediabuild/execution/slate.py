"""A worker's process as it was at its start, and its return to that after each job.

What one job changes of the process must not reach the next: the working directory, the umask, the environment,
signals and timers, the locale, where modules are looked for, standard streams, limits. What can't be undone (a thread
that still runs, a child that lives) ends the worker instead.

Not here: modules of the project, which are loaded anew for each job (`pipeline.loading`); what a library keeps in
itself: a project's own stages have a worker each (`workers`).
"""

from __future__ import annotations

import contextlib
import gc
import locale
import logging
import os
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

CHILDREN = "/proc/self/task/{thread}/children"  # of Linux; the files of all threads together name all children
OWN_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]


class Slate:
    """What a process was like when this was made."""

    def __init__(self) -> None:
        self.cwd = os.getcwd()
        self.umask = _umask()
        self.environment = dict(os.environ)
        self.signals = _signals()
        self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self.locale = locale.setlocale(locale.LC_ALL)
        self.path, self.argv = list(sys.path), list(sys.argv)
        self.finders = list(sys.meta_path)
        self.limits = {kind: resource.getrlimit(kind) for kind in OWN_LIMITS}
        self.recursion = sys.getrecursionlimit()
        self.warnings = list(warnings.filters)
        self.logging = (logging.root.level, list(logging.root.handlers), logging.root.manager.disable)
        self.cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        self.threads = set(threading.enumerate())
        self.nice = os.nice(0)

    def wipe(self, own: Callable[[str], bool]) -> str:
        """Bring the process back to what it was.

        Args:
            own: whether a module is the project's: its threads count, even those that wouldn't hold up an exit.

        Returns:
            What can't be undone, for the log; empty where nothing is left of the job.
        """
        try:
            self._restore_process()
            self._restore_python(own)
        except (OSError, ValueError, locale.Error) as error:
            return f"the process can't be brought back to what it was: {error}"
        if os.nice(0) != self.nice:
            return "it changed the process's priority"
        for thread in set(threading.enumerate()) - self.threads:
            if not thread.daemon or own(_module_of(getattr(thread, "_target", None) or type(thread).run)):
                return f"a thread still runs: {thread.name}"
        return "a child process still runs" if _has_children() else ""

    def _restore_process(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, known in self.signals.items():
            if signal.getsignal(number) is not known:
                signal.signal(number, known)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)
        os.chdir(self.cwd)
        os.umask(self.umask)
        for kind, limits in self.limits.items():
            if resource.getrlimit(kind) != limits:
                resource.setrlimit(kind, limits)
        if self.cores is not None and os.sched_getaffinity(0) != self.cores:
            os.sched_setaffinity(0, self.cores)
        if dict(os.environ) != self.environment:
            os.environ.clear()
            os.environ.update(self.environment)
            time.tzset()
        if locale.setlocale(locale.LC_ALL) != self.locale:
            locale.setlocale(locale.LC_ALL, self.locale)

    def _restore_python(self, own: Callable[[str], bool]) -> None:
        # what a library that was imported meanwhile put there stays: it may look there later
        sys.path[:] = self.path + [p for p in sys.path if p.endswith("-packages") and p not in self.path]
        sys.argv[:] = self.argv
        sys.meta_path[:] = [f for f in sys.meta_path if f in self.finders or not own(_module_of(f))]
        sys.excepthook, sys.displayhook = sys.__excepthook__, sys.__displayhook__
        sys.settrace(None)
        sys.setprofile(None)
        sys.setrecursionlimit(self.recursion)
        for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
            _restore_stream(name, number)
        warnings.filters[:] = self.warnings  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]
        level, handlers, disabled = self.logging
        logging.root.setLevel(level)
        logging.root.handlers[:] = handlers
        logging.disable(disabled)
        gc.enable()
        if "decimal" in sys.modules:
            sys.modules["decimal"].setcontext(sys.modules["decimal"].Context())
        if "socket" in sys.modules:
            sys.modules["socket"].setdefaulttimeout(None)


def _module_of(thing: object) -> str:
    """The name of the module that a function, a class or an object's class comes from."""
    return getattr(thing, "__module__", None) or type(thing).__module__


def _umask() -> int:
    umask = os.umask(0o022)  # there is no other way to ask
    os.umask(umask)
    return umask


def _signals() -> dict[int, Any]:
    """What each signal does; those that Python didn't set can't be set anew."""
    found = {number: signal.getsignal(number) for number in signal.valid_signals()}
    return {number: known for number, known in found.items() if known is not None}


def _restore_stream(name: str, number: int) -> None:
    """The standard stream as an object that can be used, whatever a job put in its place or closed."""
    stream = getattr(sys, f"__{name}__")
    if stream is None or stream.closed:
        mode, buffering = ("r", -1) if name == "stdin" else ("w", 1)
        stream = open(number, mode, buffering, errors="backslashreplace", closefd=False)
        setattr(sys, f"__{name}__", stream)
    if getattr(sys, name) is not stream:
        with contextlib.suppress(Exception):
            getattr(sys, name).flush()
        setattr(sys, name, stream)


def _has_children() -> bool:
    """Whether a child process lives; those that multiprocessing keeps for itself don't count."""
    kept = set()
    for module, name in (("resource_tracker", "_resource_tracker"), ("forkserver", "_forkserver")):
        keeper = getattr(sys.modules.get(f"multiprocessing.{module}"), name, None)
        kept |= {getattr(keeper, "_pid", None), getattr(keeper, "_forkserver_pid", None)}
    return any(pid not in kept and _lives(pid) for pid in _children())


def _children() -> set[int]:
    """The process's children, dead ones that nobody asked after among them; none where the system can't tell."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            with open(CHILDREN.format(thread=thread)) as file:
                found |= set(map(int, file.read().split()))
    return found


def _lives(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except (ChildProcessError, AttributeError):
        return False
