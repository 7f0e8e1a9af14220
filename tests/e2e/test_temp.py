"""`temp = true`: outputs that are deleted once all that read them are up to date, and made again when needed."""

from __future__ import annotations

import fcntl
import json
import time

import pytest

from tests.e2e.conftest import Project, read_events

TEMP = """
[pipeline]
sources = ["media/*.txt"]

[stages.wav]
temp    = true
command = ["sh", "-c", 'cp "$1" "$2"; echo "$3" >> "$2"', "wav", "{inputs.media}", "{outputs.wav}", "{params.rate}"]
inputs  = { media = "source" }
outputs = { wav = "sound.wav" }
params  = { rate = 48 }

[stages.parts]
temp    = true
command = ["sh", "-c", 'mkdir -p "$2/deep" "$2/none"; cp "$1" "$2/deep/one"', "parts", "{inputs.wav}", "{outputs.dir}"]
inputs  = { wav = "wav.wav" }
outputs = { dir = "parts" }

[stages.length]
command = ["sh", "-c", 'wc -c < "$1" > "$2"; echo "$3" >> "$2"', "length", "{inputs.wav}", "{outputs.n}",
           "{params.unit}"]
inputs  = { wav = "wav.wav" }
outputs = { n = "n.txt" }
params  = { unit = "bytes" }

[stages.words]
command = ["sh", "-c", 'cat "$1/deep/one" > "$2"; echo "$3" >> "$2"', "words", "{inputs.dir}", "{outputs.text}",
           "{params.unit}"]
inputs  = { dir = "parts.dir" }
outputs = { text = "words.txt" }
params  = { unit = "words" }
"""


@pytest.fixture
def temp(project: Project) -> Project:
    """One job, built once."""
    project.write("pipeline.toml", TEMP)
    project.write("media/a.txt", "hello\n")
    assert project.run("-n", "2").status == 0
    return project


def outputs(project: Project) -> list[str]:
    """The outputs that are there."""
    stages = (project.root / "jobs/a").glob("*/*")
    return sorted(f"{path.parent.name}/{path.name}" for path in stages if path.name != "manifest.json"
                  and ".mediabuild" not in path.parts)  # fmt: skip


def test_they_go_when_all_that_read_them_are_fresh_and_nothing_is_stale_then(temp: Project) -> None:
    """Outputs, directories among them, are gone, manifests stay; runs, questions and `validate` find nothing to do."""
    assert outputs(temp) == ["length/n.txt", "words/words.txt"]
    assert temp.read("jobs/a/words/words.txt") == "hello\n48\nwords\n"
    again = temp.run()
    assert (again.status, again.ran, sorted(again.skipped)) == (0, [], ["length:a", "parts:a", "wav:a", "words:a"])
    (temp.root / "jobs/.mediabuild/fresh.index").unlink()
    assert temp.run().ran == []
    for command in ("check", "validate"):
        assert temp.command(command).status == 0, command
    assert "would run" not in temp.command("explain", "wav:a").out


def test_a_deletion_that_was_killed_is_no_reason(temp: Project) -> None:
    """Of a directory the folders are left, empty: they were there before, so nobody has added them."""
    (temp.root / "jobs/a/parts/parts/deep").mkdir(parents=True)
    assert (temp.command("check").status, temp.run().ran, outputs(temp)) == (0, [], ["length/n.txt", "words/words.txt"])
    (temp.root / "jobs/a/parts/parts/added").mkdir(parents=True)
    assert temp.run().reasons("parts:a") == ["outputs.parts/added/"]


def test_one_reader_brings_back_just_what_it_reads(temp: Project) -> None:
    """A param of one reader: what it reads is made again, with the reason; other readers are left alone."""
    run = temp.run("length.unit=b")
    assert run.ran == ["wav:a", "length:a"]
    assert run.reasons("wav:a") == ["outputs.sound.wav"]
    assert "wav:a  outputs.sound.wav needed by length:a" in run.out
    assert outputs(temp) == ["length/n.txt", "words/words.txt"]
    deep = temp.run("words.unit=b")
    assert deep.tasks("stage_restored") == ["length:a"]
    assert deep.ran == ["wav:a", "parts:a", "words:a"] or deep.ran == ["parts:a", "wav:a", "words:a"]
    assert temp.read("jobs/a/words/words.txt") == "hello\n48\nb\n"
    assert outputs(temp) == ["length/n.txt", "words/words.txt"]


def test_asking_says_what_would_be_made_again(temp: Project) -> None:
    """`check`, `status`, `explain` and `--dry-run` name the temp stage and who needs it, before and as the run does."""
    temp.write("pipeline.toml", TEMP.replace('"words" }', '"w" }'))
    states = {task["task"]: task["state"] for task in json.loads(temp.command("status", "--json").out)}
    assert states == {"wav:a": "stale", "parts:a": "stale", "length:a": "fresh", "words:a": "stale"}
    assert temp.command("check").status == 1
    plan = temp.command("run", "--dry-run").out
    assert "RUN     parts:a  outputs.parts/deep/one needed by words:a" in plan
    assert set(temp.run().ran) == {"wav:a", "parts:a", "words:a"}


def test_a_second_reader_an_edit_and_force(temp: Project) -> None:
    """A new reader gets what it reads; an edited source and `--force` run everything once; then all is gone again."""
    more = TEMP + TEMP.partition("[stages.length]")[2].partition("[stages.words]")[0].join(["\n[stages.more]", ""])
    temp.write("pipeline.toml", more)
    assert temp.run().ran == ["wav:a", "more:a"]
    temp.write("media/a.txt", "other\n")
    assert sorted(temp.run().ran) == ["length:a", "more:a", "parts:a", "wav:a", "words:a"]
    assert sorted(temp.run("--force").ran) == ["length:a", "more:a", "parts:a", "wav:a", "words:a"]
    assert sorted(temp.run("-a").ran) == ["length:a", "more:a", "parts:a", "wav:a", "words:a"]
    assert temp.run("--force", "length").ran == ["wav:a", "length:a"]
    assert outputs(temp) == ["length/n.txt", "more/n.txt", "words/words.txt"]


def test_early_cutoff_makes_nothing_again(project: Project) -> None:
    """A stage upstream of the reader runs and writes the same: the reader stays, and what it reads stays away."""
    both = TEMP.replace('inputs  = { wav = "wav.wav" }\noutputs = { n', 'inputs  = { wav = "wav.wav", f = "first.f" }\n'
                        'outputs = { n')  # fmt: skip
    first = """
[stages.first]
command = ["sh", "-c", 'head -c 1 "$1" > "$2"', "first", "{inputs.i}", "{outputs.f}"]
inputs  = { i = "./given.txt" }
outputs = { f = "f" }
"""
    project.write("pipeline.toml", both + first)
    project.write("media/a.txt", "hello\n")
    project.write("given.txt", "one\n")
    assert project.run().status == 0
    project.write("given.txt", "other\n")
    assert project.run().ran == ["first:a"]
    project.write("given.txt", "two\n")
    assert sorted(project.run().ran) == ["first:a", "length:a", "wav:a"]


def test_a_failing_reader_keeps_them(temp: Project) -> None:
    """While a reader fails, what it reads stays, and isn't made again for the next try."""
    temp.write("pipeline.toml", TEMP.replace("'wc -c", "'[ -e ok ] || exit 1; wc -c"))
    assert temp.run().status == 1
    assert "wav/sound.wav" in outputs(temp)
    temp.write("ok", "")
    assert temp.run().ran == ["length:a"]
    assert "wav/sound.wav" not in outputs(temp)


def test_what_cant_be_made_again_blocks_its_reader(temp: Project) -> None:
    """A temp stage that fails when it is needed again: the reader is blocked, and its outputs stay."""
    temp.write("pipeline.toml", TEMP.replace("'cp", "'[ -e broken ] && exit 3; cp"))
    assert temp.run().status == 0
    temp.write("broken", "")
    run = temp.run("words.unit=w")
    assert run.status == 1
    assert run.tasks("stage_failed") == ["wav:a", "parts:a", "words:a"]
    assert "BLOCKED parts:a, words:a: wav:a failed\n" in run.out
    assert temp.read("jobs/a/words/words.txt") == "hello\n48\nwords\n"


def test_tampering_with_one_that_is_there_is_found(temp: Project) -> None:
    """An output of a temp stage that is there and differs makes it run, and is kept: nothing of a person's is lost."""
    temp.write("jobs/a/wav/sound.wav", "mine\n")
    assert temp.command("check").status == 1
    run = temp.run()
    assert run.ran == ["wav:a"]
    assert temp.read("jobs/a/wav.edited/sound.wav") == "mine\n"
    assert "wav/sound.wav" not in outputs(temp)


def test_a_range_that_needs_them_says_which_stage_to_add(temp: Project) -> None:
    """`--from` a reader that would run is an error that names the stage; one that is fresh is fine."""
    assert temp.run("--stages=length").status == 0
    run = temp.run("--stages=length", "length.unit=b")
    assert run.status == 3
    assert "add the stage: wav" in run.err
    assert temp.run("--stages=length", "--force").status == 3
    deep = temp.run("--stages=parts,words", "words.unit=b")
    assert deep.status == 3
    assert "add the stage: wav" in deep.err
    assert temp.run("--stages=wav,length", "length.unit=b").ran == ["wav:a", "length:a"]
    single = temp.run("-s", "length:a", "length.unit=c")
    assert single.status == 1
    assert "were deleted" in single.out


def test_a_change_of_their_own_and_back(temp: Project) -> None:
    """A param of the temp stage makes new outputs for all; back again, each reader's earlier outputs come back."""
    assert sorted(temp.run("rate=16").ran) == ["length:a", "parts:a", "wav:a", "words:a"]
    back = temp.run()
    assert set(back.ran) | set(back.tasks("stage_restored")) == {"length:a", "parts:a", "wav:a", "words:a"}
    assert outputs(temp) == ["length/n.txt", "words/words.txt"]
    assert temp.run().ran == []


def test_other_checksums_clean_and_reset_dep_cope(temp: Project) -> None:
    """A new algorithm, `clean` of a reader, `reset-dep` of a stale temp stage: nothing breaks, nothing runs in vain."""
    text = TEMP.replace("[pipeline]", '[pipeline]\nchecksum = "sha256"')
    temp.write("pipeline.toml", text)
    assert temp.run().ran == []
    assert temp.run("length.unit=b").ran == ["wav:a", "length:a"]
    assert temp.run().status == 0
    assert outputs(temp) == ["length/n.txt", "words/words.txt"]
    assert temp.command("clean", "length").status == 0
    assert temp.run().ran == ["wav:a", "length:a"]
    temp.write("pipeline.toml", text.replace("'cp", "'true; cp"))
    assert temp.command("reset-dep", "wav").status == 0
    assert temp.run().ran == []


def test_with_copies_they_are_refused(project: Project) -> None:
    """What is delivered must stay."""
    project.write("pipeline.toml", TEMP.replace("temp    = true", 'temp    = true\ndeliver = "out/{job}"', 1))
    project.write("media/a.txt", "x\n")
    run = project.run()
    assert run.status == 3
    assert "stages.wav.temp" in run.err


def test_copies_and_earlier_outputs_come_without_it(temp: Project) -> None:
    """A copy that is gone, and a reader's param changed back: what the reader once read isn't made again for it."""
    delivering = TEMP.replace("[stages.length]", '[stages.length]\ndeliver = "out/{job}"')
    temp.write("pipeline.toml", delivering)
    assert temp.run().ran == []
    (temp.root / "out/a.txt").unlink()
    again = temp.run()
    assert (again.status, again.ran, again.tasks("stage_delivered")) == (0, [], ["length:a"])
    assert temp.run("length.unit=b").ran == ["wav:a", "length:a"]
    temp.write("pipeline.toml", delivering.replace("'cp", "'exit 3; cp"))
    temp.write("pipeline.toml", delivering)
    back = temp.run()
    assert (back.ran, back.tasks("stage_restored")) == ([], ["length:a"])


def test_a_copy_or_another_jobs_result_comes_without_it(temp: Project) -> None:
    """An edited output comes back from its copy, and a reader's result from another job: nothing is made for them."""
    text = TEMP.replace("[stages.length]", '[stages.length]\ndeliver = "out/{job}"\nisolate = true')
    temp.write("pipeline.toml", text)
    temp.write("media/b.txt", "hello\n")
    assert temp.run().status == 0
    temp.write("jobs/a/length/n.txt", "edited\n")
    again = temp.run()
    assert (again.ran, again.tasks("stage_restored")) == ([], ["length:a"])
    assert temp.run("length.unit=b", "--job=a").ran == ["wav:a", "length:a"]
    again = temp.run("length.unit=b", "--job=b")
    assert (again.ran, again.tasks("stage_restored")) == ([], ["length:b"])


def test_failed_remakes_are_what_failed(temp: Project) -> None:
    """A temp stage that fails when it is needed again: `--failed` tries it, and its reader, once more."""
    temp.write("pipeline.toml", TEMP.replace("'cp", "'[ -e broken ] && exit 3; cp"))
    assert temp.run().status == 0
    temp.write("broken", "")
    temp.write("pipeline.toml", temp.read("pipeline.toml").replace('"words" }', '"w" }'))
    assert temp.run().status == 1
    (temp.root / "broken").unlink()
    again = temp.run("--failed")
    assert (again.status, set(again.ran)) == (0, {"wav:a", "parts:a", "words:a"})


ALL_OF_THEM = """
[pipeline]
sources = ["media/*.txt"]

[stages.wav]
temp     = true
optional = true
command  = ["sh", "-c", '[ "$2" = x ] || [ "$2" = y -a ! -e broken ] && cat "$1" > "$3"', "wav", "{inputs.media}",
            "{params.v}", "{outputs.wav}"]
inputs   = { media = "source" }
outputs  = { wav = "sound.wav" }
matrix.k = { x = { v = "x" }, y = { v = "y" } }

[stages.all]
command = ["sh", "-c", 'o=$1; shift; cat "$@" > "$o"; echo "$NOTE" >> "$o"', "all", "{outputs.all}", "{inputs.wavs}"]
env     = { NOTE = "one" }
inputs  = { wavs = "wav.wav" }
outputs = { all = "all.txt" }
"""


@pytest.mark.parametrize("collect", [False, True])
def test_a_failure_that_was_taken_back_leaves_nobody_out(project: Project, collect: bool) -> None:
    """Its result is there again, though its outputs are gone; one that can't be made again is left out, and tried."""
    text, broken = ALL_OF_THEM + "collect = true\n" * collect, project.root / "broken"
    result = "jobs/.all/all/all.txt" if collect else "jobs/a/all/all.txt"
    project.write("pipeline.toml", text)
    project.write("media/a.txt", "hello\n")
    assert project.run().status == 0
    assert project.read(result) == "hello\nhello\none\n"
    project.write("pipeline.toml", text.replace('v = "y"', 'v = "bad"'))
    run = project.run()
    assert (run.status, run.tasks("stage_failed")) == (1, ["wav:a:y"]), run.out
    assert "BLOCKED" not in run.out
    assert project.read(result) == "hello\none\n"
    project.write("pipeline.toml", text)
    assert project.command("check").status == 1
    assert project.run().status == 0
    assert project.read(result) == "hello\nhello\none\n"
    assert project.command("check").status == 0
    broken.write_text("")
    project.write("pipeline.toml", text.replace("one", "two"))
    for _ in range(2):
        run = project.run()
        assert (run.status, run.tasks("stage_failed")) == (1, ["wav:a:y"]), run.out
        assert project.read(result) == "hello\ntwo\n"
        assert project.command("check").status == 1
    broken.unlink()
    assert project.run().status == 0
    assert project.read(result) == "hello\nhello\ntwo\n"


def test_what_another_run_deletes_before_it_is_read_is_made_once_more(temp: Project) -> None:
    """The reader waits for a slot, and what was made for it goes away: it is made again, and the run ends well."""
    pipeline = TEMP.replace("[stages.length]", "[stages.length]\nresources = { gpu = 1 }")
    temp.write("pipeline.toml", pipeline)
    assert temp.run().ran == []
    slot = temp.root / "jobs/.mediabuild/slots/gpu.0"
    slot.parent.mkdir(parents=True, exist_ok=True)
    events = temp.root.parent / "race.jsonl"
    with slot.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run = temp.start("length.unit=b", "-n2", events=events)
        while "stage_completed" not in [event["event"] for event in read_events(events)]:
            time.sleep(0.01)
        time.sleep(0.3)
        (temp.root / "jobs/a/wav/sound.wav").unlink()
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, out + err
    assert [e["task"] for e in read_events(events) if e["event"] == "stage_running"] == ["wav:a", "wav:a", "length:a"]
    assert "first wav:a again" in out
    assert temp.read("jobs/a/length/n.txt").split() == ["9", "b"]


COLLECTED = """
[stages.all]
collect = true
command = ["sh", "-c", 'o=$1; shift; cat "$@" > "$o"', "all", "{outputs.text}", "{inputs.wavs}"]
inputs  = { wavs = "wav.wav" }
outputs = { text = "all.txt" }
"""


def test_a_task_over_all_jobs_reads_temporary_outputs_of_others(temp: Project) -> None:
    """`--job` brings one job; what the others' temp stages had made is made again for the task over all."""
    temp.write("pipeline.toml", TEMP + COLLECTED)
    temp.write("media/b.txt", "second\n")
    assert temp.run("-n", "2").status == 0
    assert not (temp.root / "jobs/b/wav/sound.wav").exists()
    temp.write("media/a.txt", "first\n")
    run = temp.run("--job", "a", "all")
    assert (run.status, sorted(run.ran)) == (0, ["all:.all", "wav:a", "wav:b"])
    assert temp.read("jobs/.all/all/all.txt") == "first\n48\nsecond\n48\n"
    assert temp.run().status == 0
    assert outputs(temp) == ["length/n.txt", "words/words.txt"]
    assert not (temp.root / "jobs/b/wav/sound.wav").exists()
