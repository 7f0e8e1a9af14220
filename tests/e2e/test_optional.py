"""Optional members of a matrix: a value that can't be made holds up nobody who reads all of them.

Here a language can be "translated" when its pair is installed: a file that is no fact of any task.

Not here: stages over all jobs (`test_collect`), which may lack jobs by the same rule.
"""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Project

PIPELINE = """
[pipeline]
sources = ["media/*.txt"]

[stages.T]
command  = ["sh", "-c", '[ -e "$3/$4" ] || { echo "no pair for $4"; exit 3; }; cat "$1" > "$2"; echo "$4" >> "$2"',
            "T", "{inputs.media}", "{outputs.text}", "PAIRS", "{params.v}"]
inputs   = { media = "source" }
outputs  = { text = "t.txt" }
matrix   = { v = ["de", "es"] }
optional = true

[stages.voice]
command  = ["cp", "{inputs.text}", "{outputs.text}"]
inputs   = { text = "T.text" }
outputs  = { text = "v.txt" }
matrix   = { v = ["de", "es"] }
optional = true

[stages.E]
command = ["sh", "-c", 'out=$1; shift; cat "$@" > "$out"', "E", "{outputs.text}", "{inputs.texts}", "{inputs.voices}"]
inputs  = { texts = "T.text", voices = "voice.text" }
outputs = { text = "e.txt" }
deliver = "out/{job}"

[stages.F]
command = ["cp", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "E.text" }
outputs = { text = "f.txt" }
"""


@pytest.fixture
def languages(project: Project) -> Project:
    """de can be translated, es can't; built once."""
    project.write("pipeline.toml", PIPELINE.replace("PAIRS", f"{project.root}/pairs"))
    project.write("media/one.txt", "hello\n")
    project.write("pairs/de", "")
    first = project.run()
    assert first.status == 1
    assert "FAILED  T:one:es  sh failed with exit 3" in first.out
    assert first.tasks("stage_failed") == ["T:one:es", "voice:one:es"]
    warned = [(e["task"], e["message"]) for e in first.events if e["event"] == "stage_warning"]
    assert warned == [("E:one", "without es: failed, ignored or not built")]
    assert project.read("out/one.txt") == "hello\nde\n" * 2
    assert project.read("jobs/one/F/f.txt") == "hello\nde\n" * 2
    return project


def test_a_value_that_fails_is_tried_again_and_holds_up_nobody(languages: Project) -> None:
    """The next run tries it, and nothing else; what is asked says the same; exit 1 until it is there."""
    said = {entry["task"]: entry["state"] for entry in json.loads(languages.command("status", "--json").out)}
    assert said == {
        "T:one:de": "fresh", "T:one:es": "failed", "voice:one:de": "fresh", "voice:one:es": "blocked",
        "E:one": "follows", "F:one": "follows",
    }  # fmt: skip
    assert languages.command("check").status == 1
    again = languages.run("-n", "2")
    assert (again.status, again.ran) == (1, ["T:one:es"])
    assert again.tasks("stage_skipped") == ["T:one:de", "voice:one:de", "E:one", "F:one"]
    assert languages.run("--failed").ran == ["T:one:es"]
    assert languages.run("F").ran == ["T:one:es"]
    assert languages.run("--stages=E,F").ran == []


def test_what_was_left_out_joins_when_it_can_be_made(languages: Project) -> None:
    """The pair is installed later: who reads all values is stale for just that; then all is fresh, also for `check`."""
    languages.write("pairs/es", "")
    run = languages.run()
    assert run.status == 0
    assert run.reasons("E:one") == ["inputs.texts: T/es/t.txt", "inputs.voices: voice/es/v.txt"]
    assert run.ran == ["T:one:es", "voice:one:es", "E:one", "F:one"]
    assert languages.read("out/one.txt") == "hello\nde\nhello\nes\n" * 2
    assert languages.command("check").status == 0
    assert languages.run().ran == []


def test_an_old_value_is_left_out_when_it_fails_later(languages: Project) -> None:
    """What was made from another recording is not mixed in; the recording of before brings it back."""
    languages.write("pairs/es", "")
    assert languages.run().status == 0
    (languages.root / "pairs/es").unlink()
    languages.write("media/one.txt", "world\n")
    assert languages.run().status == 1
    assert languages.read("out/one.txt") == "world\nde\n" * 2
    languages.write("media/one.txt", "hello\n")
    back = languages.run()
    assert (back.status, back.ran) == (0, [])
    assert languages.read("out/one.txt") == "hello\nde\nhello\nes\n" * 2


def test_an_ignored_value_is_left_out(languages: Project) -> None:
    """`ignore`: no failure, and the others go on."""
    assert languages.command("ignore", "T:one:es").status == 0
    languages.write("media/one.txt", "world\n")
    run = languages.run()
    assert run.status == 0
    assert run.tasks("stage_ignored") == ["T:one:es", "voice:one:es"]
    assert languages.read("out/one.txt") == "world\nde\n" * 2
    assert languages.command("check").status == 0


def test_nothing_is_left(languages: Project) -> None:
    """No value at all: a stage that needs one fails and says so; where it may be absent (`?`), it goes on without."""
    (languages.root / "pairs/de").unlink()
    languages.write("media/one.txt", "world\n")
    run = languages.run()
    assert run.status == 1
    assert "FAILED  E:one  inputs.texts: T.text none of its values could be made" in run.out
    assert "F:one" in run.tasks("stage_failed")
    text = languages.read("pipeline.toml").replace(
        '"T.text", voices = "voice.text"', '"?T.text", voices = "?voice.text"'
    )
    languages.write("pipeline.toml", text.replace('cat "$@"', 'cat /dev/null "$@"'))
    run = languages.run()
    assert run.ran[-2:] == ["E:one", "F:one"], run.out
    assert languages.read("out/one.txt") == ""


def test_without_optional_a_value_that_fails_blocks(languages: Project) -> None:
    """As everywhere else in a build."""
    languages.write("pipeline.toml", languages.read("pipeline.toml").replace("optional = true\n", ""))
    run = languages.run()
    assert run.tasks("stage_failed") == ["T:one:es", "voice:one:es", "E:one", "F:one"]


def test_only_a_matrix_has_optional_members(languages: Project) -> None:
    """`optional` without a matrix is a mistake, with the line to write."""
    languages.write("pipeline.toml", languages.read("pipeline.toml") + "optional = true\n")
    ran = languages.command("check")
    assert ran.status == 3
    assert "stages.F.optional: only values of a matrix can be left out" in ran.err
