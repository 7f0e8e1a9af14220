"""All that a child of the run started, wherever it went: found, and ended.

A program can leave its group (`setsid`), lose its parent (a daemon) and clear its environment. So its kin are those
in its group, those with its mark in their environment, and all that these have started. Only a daemon that cleared
its environment too is lost. Without /proc (macOS), marks can't be read: a daemon in a group of its own is lost there.

Run as a program it is the reaper: it hears of the run's children on stdin, and when that closes, since the run is
dead or done, it ends what is left of them. It is started as a bare file, so it imports the standard library alone.

Not here: starting and stopping children (`processes`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

MARK = "MEDIABUILD_CHILD"  # in a child's environment: whose it is, and for whom that one works in turn
SETTLE_S = 0.01  # for a killed process to be gone
MOMENT_S = 0.0005  # for a process to become another program
LOOKS = 4  # at an environment that is empty
ROUNDS = 200  # one that can't be killed (a dead network disk) is left after two seconds
HAS_PROC = os.path.isdir("/proc/self")
Process = tuple[int, int]  # parent, group


def living(pids: Collection[int] | None = None) -> dict[int, Process]:
    """The processes there are, zombies left out: process id → parent and group.

    Args:
        pids: look at these alone; None for all.
    """
    if not HAS_PROC:
        return dict(_listed())
    found = {}
    for pid in _all_pids() if pids is None else pids:
        try:
            with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
                state, parent, group = file.read(500).rpartition(b")")[2].split(None, 3)[:3]
        except (OSError, ValueError):  # it has ended meanwhile
            continue
        if state not in (b"Z", b"X"):
            found[pid] = (int(parent), int(group))
    return found


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _listed() -> Iterator[tuple[int, Process]]:
    """The same, as `ps` tells it."""
    said = subprocess.run(["/bin/ps", "-axo", "pid=,ppid=,pgid=,stat="], stdout=subprocess.PIPE, check=False, text=True)
    for line in said.stdout.splitlines():
        pid, parent, group, state = line.split(None, 3)
        if not state.startswith("Z"):
            yield int(pid), (int(parent), int(group))


def born_after(pid: int) -> list[int]:
    """The processes that began after one with this number did, as long as the numbers haven't gone round since."""
    pids = _all_pids() if HAS_PROC else []
    latest = 0
    with contextlib.suppress(OSError, ValueError), open("/proc/loadavg", "rb") as file:
        latest = int(file.read().split()[-1])
    if latest < pid:  # they have begun anew
        return [other for other in pids if other > pid or other <= latest]
    return [other for other in pids if other > pid]


def marks_of(pid: int) -> list[str]:
    """The marks in a process's environment; none where it can't be read.

    The kernel shows an empty one while a process becomes another program: that lasts a moment, and is waited for.
    """
    variables: list[bytes] = []
    looks = LOOKS
    for _ in range(ROUNDS):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                variables = file.read().split(b"\0")
        except OSError:
            return []
        if any(variables) or not looks:
            break
        if _is_becoming_another(pid):
            time.sleep(MOMENT_S)
        else:
            looks -= 1  # it may have done so since
    prefix = f"{MARK}=".encode()
    return next((v[len(prefix) :].decode(errors="replace").split(",") for v in variables if v.startswith(prefix)), [])


def _is_becoming_another(pid: int) -> bool:
    """Whether a process has a program, and not yet its words."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return not file.read(1) and bool(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return False


def kin(marks: Collection[str], groups: Collection[int], pids: Collection[int] | None = None) -> list[int]:
    """The living processes that belong to children of a run, parents before their children.

    Args:
        marks, groups: of the children.
        pids: look among these alone; None for all.
    """
    if not (marks or groups):
        return []
    processes = living(pids)
    wanted = set(marks)
    found = [pid for pid, (_, group) in processes.items() if group in groups or not wanted.isdisjoint(marks_of(pid))]
    found += processes.keys() & set(groups)  # a leader may have left its group
    roots = set(found)
    family = [pid for pid in dict.fromkeys(found) if processes[pid][0] not in roots]
    for parent in family:  # it grows meanwhile
        family += [pid for pid, (parent_of, _) in processes.items() if parent_of == parent]
    return [pid for pid in dict.fromkeys(family) if pid != os.getpid()]


def send(pids: Collection[int], number: int, besides: Collection[int] = ()) -> None:
    """Send a signal to those that are still there, besides those in these groups."""
    for pid in pids:
        with contextlib.suppress(OSError):
            if os.getpgid(pid) not in besides:
                os.kill(pid, number)


def end(marks: Collection[str], groups: Collection[int], pids: Collection[int] | None = None) -> None:
    """Kill the kin of children, until nobody is found: what was about to be started is found in the next round."""
    for _ in range(ROUNDS):
        found = kin(marks, groups, pids)
        if not found:
            return
        send(found, signal.SIGKILL)
        time.sleep(SETTLE_S)
        pids = None


def reap() -> None:
    """Be the reaper: a line `MARK GROUP` for a child that starts (group 0: not known yet), `-MARK` when it is over."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    groups: dict[str, int] = {}
    for line in sys.stdin:
        if line.startswith("-"):
            groups.pop(line[1:].strip(), None)
        elif len(words := line.split()) == 2:
            groups[words[0]] = int(words[1])
    if groups:
        end(groups, {group for group in groups.values() if group})


if __name__ == "__main__":
    reap()
