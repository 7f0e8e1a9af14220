"""A reason shows what differs of a long value."""

from __future__ import annotations

import json

import pytest

from mediabuild.pipeline.command_stages.differing import differing
from mediabuild.pipeline.model import Reason

SCRIPT = "set -e; " + "cp a b; " * 40
COMMAND = [
    "ffmpeg",
    "-nostdin",
    "-loglevel",
    "error",
    "-y",
    "-i",
    "{inputs.media}",
    "-vf",
    "scale=-2:240",
    "{outputs.mp4}",
]


def changed(**words: object) -> str:
    """The command with words replaced or added (a list), by their place."""
    command: list[str] = []
    for number, word in enumerate(COMMAND):
        new = words.get(f"w{number}", word)
        command += new if isinstance(new, list) else [str(new)]
    return json.dumps(command)


@pytest.mark.parametrize(
    ("was", "now", "shown"),
    [
        ('"es"', '"en"', '"es" → "en"'),
        (json.dumps(COMMAND), changed(w8="scale=-2:360"), "… scale=-2:240 … → … scale=-2:360 …"),
        (json.dumps(COMMAND), changed(w4=["-y", "-t", "5"]), "… → … -t 5 …"),
        (
            json.dumps(["sh", "-c", SCRIPT + "x" + SCRIPT]),
            json.dumps(["sh", "-c", SCRIPT + "yz" + SCRIPT]),
            "… … b; cp a b; xset -e; cp a… → … … b; cp a b; yzset -e; cp a…",
        ),
        (
            json.dumps({"low": 1, "high": {"height": 240, "video": "300k"}, "more": "m" * 60}),
            json.dumps({"low": 2, "high": {"height": 240, "video": "300k"}, "more": "m" * 60}),
            "{low = 1} → {low = 2}",
        ),
        (json.dumps({"a": "m" * 80}), json.dumps({"b": "m" * 80}), "{a = " + "m" * 80 + "} → {b = " + "m" * 80 + "}"),
    ],
)
def test_what_differs_is_shown(was: str, now: str, shown: str) -> None:
    """Of long commands, tables and texts; short ones in full."""
    assert str(Reason("stage", "command", was, now)) == f"stage.command: {shown}"


def test_equal_ends_never_overlap() -> None:
    """A text that another begins and ends with."""
    for was, now in (("ab" * 50, "ab" * 51), ("a" * 100, "a" * 99), ("x" * 100, "y" * 100)):
        before, after = differing(json.dumps(was), json.dumps(now))
        assert before != after
