"""Decides whether a task is stale, and why: compares the recorded facts with the present ones. Pure: reads no file.

Deciding is "are there any reasons", so the explanation can't drift from the decision. In the words of
"Build systems à la carte" this is a verifying-trace rebuilder. doit's scheduler asks it after a task's dependencies
ran; where those wrote the same bytes as before, it finds no reason, and the rebuild stops there (early cutoff).

Not here: taking the facts (`observation`), what a look at a task consists of (`look`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import msgspec

from mediabuild.freshness.observation import Observation
from mediabuild.freshness.presence import Outputs
from mediabuild.pipeline.model import Reason, ReasonKind
from mediabuild.pipeline.placeholders import text_of
from mediabuild.store.facts import ORDER, Files
from mediabuild.store.manifest import Manifest

SHORT_HEX = 12
NOT_DELIVERED, EDITED, SHARED = "not delivered", "edited", "two outputs would have this name"
COPY_TROUBLES = (NOT_DELIVERED, EDITED, SHARED)  # what only making copies mends


def fact_reasons(recorded: Manifest, now: Observation, *, by_device: bool) -> Iterator[Reason]:
    """What changed of the facts, in the order of docs/DESIGN.md, and what could not be looked at.

    Args:
        by_device: whether the stage's result depends on the device.
    """
    facts = now.facts
    inputs = list(input_differences(recorded.inputs, facts.inputs, now.troubles))
    for reason in code_differences(recorded.code, facts.code):
        if reason.name != ORDER or not inputs:  # another order of other files says nothing of its own
            yield reason
    as_given = text_of if "command" in facts.code else as_json
    yield from param_differences(recorded.params, facts.params, recorded.overrides, as_given)
    if by_device and recorded.device != facts.device:
        yield Reason("device", was=recorded.device, now=facts.device)
    yield from inputs
    if not any(trouble.kind == "model" for trouble in now.troubles):
        yield from model_differences(recorded.models, facts.models)


def code_differences(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Reason]:
    """The stage's version, file, or command changed; another kind of stage in its place is said to be that."""
    if _what_it_is(was) != _what_it_is(now):
        yield Reason("stage", was=_what_it_is(was), now=_what_it_is(now))
    else:
        yield from _differences("stage", was, now, short)


def _what_it_is(code: Mapping[str, str]) -> str:
    """Which kind of stage a task's code is."""
    if "command" in code:
        return "a command"
    return "the built-in stage" if "version" in code else "the project's own file"


def param_differences(
    was: Mapping[str, Any],
    now: Mapping[str, Any],
    overrides: Collection[str],
    as_given: Callable[[Any], str],
) -> Iterator[Reason]:
    """A param changed, was added or removed.

    Args:
        overrides: the recorded params that came from the command line: one that is gone is said to be.
        as_given: what the stage is given of a value: a command gets `320` and `"320"` as the same text.
    """
    for reason in _differences("params", was, now, as_json, as_given):
        if reason.name in overrides and reason.now is not None:
            yield Reason("params", reason.name, reason.was, f"{reason.now} (the override is gone)")
        else:
            yield reason


def input_differences(
    was: Mapping[str, Files], now: Mapping[str, Files], troubles: Collection[Reason] = ()
) -> Iterator[Reason]:
    """Input by input and file by file: added, removed, changed; the only file is another: wired to something else.

    Args:
        troubles: what could not be looked at, said after the differences, and instead of them where they are one.
    """
    said = {(trouble.kind, trouble.name): trouble for trouble in troubles}
    for name in sorted(was.keys() | now.keys()):
        before, after = was.get(name, {}), now.get(name, {})
        prefix = f"{name}: "
        unseen = [n.removeprefix(prefix) for kind, n in said if kind == "inputs" and n.startswith(prefix)]
        gone = [path for path in sorted(before.keys() - after.keys()) if not _lies_in(path, unseen)]
        come = sorted(after.keys() - before.keys())
        come += [place for place in unseen if not any(_lies_in(path, [place]) for path in before)]
        if len(gone) == 1 == len(come) and len(before) == 1:
            trouble = said.pop(("inputs", prefix + come[0]), None)
            yield Reason("inputs", name, gone[0], come[0] + (f" ({trouble.now})" if trouble else ""))
            gone, come = [], []
        yield from (Reason("inputs", prefix + path, now="removed") for path in gone)
        yield from (Reason("inputs", prefix + path, now="added") for path in come if path in after)
        for path in sorted(before.keys() & after.keys()):
            if before[path] != after[path]:
                yield Reason("inputs", prefix + path, short(before[path]), short(after[path]))
    yield from said.values()


def _lies_in(path: str, places: Collection[str]) -> bool:
    """Whether a path is one of these places, or below one."""
    return any((path + "/").startswith(place.rstrip("/") + "/") for place in places)


def model_differences(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Reason]:
    """A model's bytes changed; of a hub's model that is not on this machine only the name counts."""
    for name in sorted(was.keys() | now.keys()):
        before, after = was.get(name), now.get(name)
        unknown = before is not None and after is not None and "" in (before, after)
        if before != after and not unknown:
            yield Reason("model", name, before and short(before), after and short(after))


def output_reasons(declared: Mapping[str, str], temp: bool, recorded: Manifest, now: Outputs) -> Iterator[Reason]:
    """An output is missing, or holds something else than what was recorded.

    Args:
        declared: output name → file name, of the stage.
        temp: the stage's outputs may be deleted.
    """
    for name, pattern in declared.items():
        if name not in recorded.outputs or ("*" not in pattern and not recorded.outputs[name]):
            yield Reason("outputs", pattern, now="not recorded")
    for path, digest in recorded.output_files().items():
        if path in now.troubles:
            yield Reason("outputs", path, now=now.troubles[path])
        elif path in now.digests and now.digests[path] != digest:
            yield Reason("outputs", path, was=short(digest), now=short(now.digests[path]))
        elif path in now.missing and not temp:
            yield Reason("outputs", path, now="missing")
    for path in now.added:
        yield Reason("outputs", path, now="added")


def copy_reasons(wanted: Mapping[str, str], now: Mapping[str, str | None]) -> Iterator[Reason]:
    """A delivered copy is missing or was edited; running the task only copies it again.

    Args:
        wanted: copy → digest of its output. now: copy → its digest, None where it isn't there.
    """
    for copy, digest in wanted.items():
        if now[copy] != digest:
            yield Reason("outputs", copy, now=NOT_DELIVERED if now[copy] is None else EDITED)


def _differences(
    kind: ReasonKind,
    was: Mapping[str, Any],
    now: Mapping[str, Any],
    text: Callable[[Any], str],
    compared: Callable[[Any], str] | None = None,
) -> Iterator[Reason]:
    """Field by field; order never counts."""
    compared = compared or as_json  # as text: 1, 1.0 and true are equal in Python
    for key in sorted(was.keys() | now.keys()):
        if key not in now:
            yield Reason(kind, key, text(was[key]), None)
        elif key not in was:
            yield Reason(kind, key, None, f"{text(now[key])} (added)")
        elif compared(was[key]) != compared(now[key]):
            yield Reason(kind, key, text(was[key]), text(now[key]))


def as_json(value: object) -> str:
    """A value as text that two equal values share."""
    return msgspec.json.encode(value, order="sorted").decode()


def short(digest: str) -> str:
    """`blake3:12ab34cd56ef…`; other texts as they are."""
    algorithm, colon, hexadecimal = digest.partition(":")
    if not colon or algorithm not in ("blake3", "sha256"):
        return digest
    return f"{algorithm}:{hexadecimal[:SHORT_HEX]}…{''.join(hexadecimal.partition('+')[1:])}"
