"""Placeholders: filled in once, escaped by doubling; what looks like one and is none is a mistake, a shell's stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediabuild.pipeline.command_stages.checks import check_command
from mediabuild.pipeline.command_stages.filling import Values, filled_in
from mediabuild.pipeline.command_stages.running import Running
from mediabuild.pipeline.mistakes import Mistakes
from mediabuild.pipeline.placeholders import check_names, fill

VALUES = Values(
    {"a": [Path("/p/in.wav")]}, {"o": Path("/p/out.wav")}, {"gain": 3, "job": "{job}"}, "cpu", "ep01", Path("/p/o")
)


def told(item: str) -> list[str]:
    """The mistakes in a command's item."""
    mistakes = Mistakes("")
    check_command(
        "stages.x", ["sh", item], Running(), {"a": ""}, {"o": "o.wav", "many": "*.wav"}, {"gain": 3}, mistakes
    )
    return list(mistakes.found)


@pytest.mark.parametrize(
    ("item", "nearest"),
    [
        ("{input.a}", "inputs.a"),
        ("{param.gain}", "params.gain"),
        ("{inputs.b}", "inputs.a"),
        ("x{outputs.a}y", "outputs.o"),
        ("{basename}", "there is: {device}"),
        ("{Job}", "job"),
        ("{inputs.b.c}", "inputs.a"),
        ("{inputs}", "inputs.a"),
    ],
)
def test_an_unknown_placeholder_is_a_mistake_with_the_nearest_name(item: str, nearest: str) -> None:
    """Where there is none, the way to write a brace of one's own is told."""
    (line,) = told(item)
    assert nearest in line
    assert ("{{" in line) != ("did you mean" in line)


def test_a_pattern_stands_for_no_single_file() -> None:
    """As before."""
    assert "any number of files" in told("{outputs.many}")[0]


@pytest.mark.parametrize("name", ["job", "device", "ffmpeg", "inputs.a", "params.gain"])
def test_a_shells_variable_that_is_called_like_a_placeholder_is_ambiguous(name: str) -> None:
    """Both ways to write it are said."""
    (line,) = told(f'echo "${{{name}}}"')
    assert f"${{{{{name}}}}}" in line


@pytest.mark.parametrize(
    "item",
    ["${HOME}", '"${playlist%.*}"', "${1}", "awk '{if ($1) {print $2}}'", "find . -exec cat {} +", "{a,b}", "{1..3}",
     '{"a": {"b": 1}}', "sed 's/x{2}/y/'", "{ echo; }", "[0-9]{2,3}", "awk '{out = out $0} END {print out}'",
     "{out[$1]++}", '{job: .id, out: [.x]}', '{"out": {"job": 1}}', "{job, device}", "{ ffmpeg -version; }",
     "%{pts\\:hms}", "text='%{pts}'", "%{http_code}\\n", "text='{'",
     "${out%.*}", "$(job)", "<out>", "%(title)s", "{piece.x = 1}", "$job", "print $out}",
     "{printf(\"{%s\", job)}", "{params = 3}", "~/models", "$NF/2 > 1"],
)  # fmt: skip
def test_what_is_no_placeholder_stays(item: str) -> None:
    """Shell, awk, jq, JSON, patterns: no mistake, no change."""
    assert told(item) == []
    assert filled_in([item], VALUES, Path("/p")) == [item]


@pytest.mark.parametrize(
    ("item", "filled"),
    [
        ("{{job}}", "{job}"),
        ("${{job}}", "${job}"),
        ("{{{job}}}", "{ep01}"),
        ("{{print}}", "{print}"),
        ('{{"a": {{"b": "{job}"}}}}', '{"a": {"b": "ep01"}}'),
        ("{job}}}", "ep01}}"),
        ("{params.job}", "{job}"),
        ("x{params.gain}y{job}", "x3yep01"),
        ("-i={inputs.a}", "-i=in.wav"),
    ],
)
def test_doubled_braces_are_braces(item: str, filled: str) -> None:
    """And nothing is filled in twice."""
    assert filled_in([item], VALUES, Path("/p")) == [filled]
    assert [line for line in told(item) if "params.job" not in line] == []


def test_a_prefix_is_filled_in_once() -> None:
    """A job's name that looks like a key of the matrix stays what it is."""
    assert fill("out/{job}.{v}/{{x}}", {"job": "a{v}", "v": "es"}.get) == "out/a{v}.es/{x}"
    mistakes = Mistakes("")
    check_names("deliver", "out/{stem}", {"job", "v"}, mistakes)
    check_names("deliver", "out/{{stem}}", {"job", "v"}, mistakes)
    assert len(mistakes.found) == 1
