"""The project's own pipeline on its own sample: each edit re-runs exactly what depends on it.

The sample is built once; each test edits a copy of the built project, which also shows that a moved
project is still fresh.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.e2e.conftest import Project, Ran

ROOT = Path(__file__).parents[2]
PARTS = ("pipeline.toml", "stages", "glossary", "media")
ORDER = [
    "demux:sample",
    "separate:sample",
    "detect_speech:sample",
    "transcribe:sample",
    "align:sample",
    "glossary:sample",
    "translate:sample:es",
    "subtitles:sample",
    "mux:sample",
]
AFTER_GLOSSARY = ORDER[6:]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with its sample, built; its logs tell what the stages imported."""
    root = tmp_path_factory.mktemp("real") / "project"
    root.mkdir()
    for part in PARTS:
        source = ROOT / part
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, root / part, ignore=ignore) if source.is_dir() else shutil.copy(source, root)
    project = Project(root)
    project.env["PYTHONPROFILEIMPORTTIME"] = "1"
    run = project.run()
    assert run.status == 0, run.out + run.err
    assert sorted(run.ran) == sorted(ORDER)
    return root


@pytest.fixture
def sample(built: Path, tmp_path: Path) -> Project:
    """A copy of the built project, somewhere else."""
    shutil.copytree(built, tmp_path / "moved", symlinks=True)
    return Project(tmp_path / "moved")


def expect(run: Ran, ran: list[str]) -> None:
    """The run succeeded and started just these."""
    assert run.status == 0, run.out + run.err
    assert sorted(run.ran) == sorted(ran), {task: run.reasons(task) for task in run.ran}
    assert sorted(run.skipped + run.ran) == sorted(ORDER)


def edit(project: Project, name: str, change: Callable[[str], str]) -> None:
    """Change a file's text; it must really change."""
    before = project.read(name)
    after = change(before)
    assert after != before
    project.write(name, after)


def change_term(project: Project, occurs: bool) -> None:
    """Change the translation of a glossary term that occurs in the transcript, or add one that doesn't."""
    rows = list(csv.DictReader(io.StringIO(project.read("glossary/terms.csv"))))
    if occurs:
        found = project.read("jobs/sample/glossary/terms.csv").removeprefix("\ufeff")
        used = {row["term"] for row in csv.DictReader(io.StringIO(found))}
        next(row for row in rows if row["term"] in used)["es"] += " mayor"
    else:
        rows.append({**dict.fromkeys(rows[0], ""), "term": "zymurgy", "es": "cimurgia"})
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    project.write("glossary/terms.csv", text.getvalue())


def test_the_sample_has_everything_that_people_look_for(built: Path) -> None:
    """Stems, transcript, glossary, translation, subtitles in three formats and languages, tagged in the video."""
    import av

    for name in ("vocals.wav", "accompaniment.wav"):
        assert (built / "jobs/sample/separate" / name).stat().st_size > 100_000
    for language in ("en", "es"):
        for kind in ("srt", "vtt", "ass"):
            assert (built / f"out/sample.{language}.{kind}").stat().st_size > 100
    with av.open(str(built / "out/sample.mp4")) as video:
        assert [stream.language for stream in video.streams.subtitles] == ["eng", "spa"]


def test_a_second_run_starts_nothing_and_is_quick(sample: Project) -> None:
    """A moved project is fresh: a line and an event per task, no stage's log is touched; it says what that spared."""
    expect(sample.run(), [])
    logs = {log: log.stat().st_mtime_ns for log in sample.root.glob("jobs/sample/.mediabuild/logs/*")}
    again = sample.run()
    expect(again, [])
    assert again.out.splitlines()[:-1] == [f"SKIPPED {task}" for task in ORDER]
    manifests = [file for file in sample.root.glob("jobs/sample/*/**/manifest.json") if ".mediabuild" not in file.parts]
    took_s = sum(json.loads(file.read_bytes())["duration_s"] for file in manifests)
    assert again.events[-1]["spared_s"] == pytest.approx(took_s, abs=0.01)
    assert f"{len(ORDER)} up to date in" in again.out
    assert "of work spared" in again.out
    assert logs == {log: log.stat().st_mtime_ns for log in sample.root.glob("jobs/sample/.mediabuild/logs/*")}


@pytest.mark.parametrize(
    "arguments", [[], ["status"], ["explain", "mux:sample"], ["check"], ["validate"], ["list", "-s"]]
)
def test_the_parent_imports_no_heavy_library(sample: Project, arguments: list[str]) -> None:
    """Neither torch nor numpy nor a model library is imported by a run that skips, nor by a command that asks."""
    heavy = ("torch", "numpy", "demucs", "faster_whisper", "ctranslate2", "av", "soundfile", "pocketsphinx")
    code = (
        "import sys; from mediabuild.commands.main import main; sys.argv[1:] = "
        + repr(arguments)
        + "; status = main();"
        f"print('HEAVY', [name for name in {heavy!r} if name in sys.modules], file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=sample.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "HEAVY []" in done.stderr


def test_only_the_separator_imports_torch(sample: Project) -> None:
    """That takes seconds: Whisper and whatever else is loaded by itself never pays it."""
    logs = {log.stem: log.read_text() for log in (sample.root / "jobs/sample/.mediabuild/logs").glob("*.log")}
    assert re.search(r"\| +faster_whisper$", logs["transcribe"], re.MULTILINE)
    importing = {name for name, log in logs.items() if re.search(r"\| +torch$", log, re.MULTILINE)}
    assert importing <= {"separate"}


def test_a_glossary_term_that_occurs(sample: Project) -> None:
    """Its translation changed: the terms are written anew, and what reads them follows."""
    change_term(sample, occurs=True)
    expect(sample.run(), ["glossary:sample", *AFTER_GLOSSARY])


def test_a_glossary_term_that_does_not_occur(sample: Project) -> None:
    """The glossary stage runs, writes the same terms, and there it ends (early cutoff)."""
    change_term(sample, occurs=False)
    expect(sample.run(), ["glossary:sample"])


def test_a_param_of_subtitles(sample: Project) -> None:
    """Only the subtitles, and the video that carries them."""
    edit(
        sample,
        "pipeline.toml",
        lambda t: t.replace("[stages.subtitles]", "[stages.subtitles]\nparams = { max_line_chars = 36 }"),
    )
    run = sample.run()
    expect(run, ["subtitles:sample", "mux:sample"])
    assert run.reasons("subtitles:sample") == ["params.max_line_chars"]


def test_the_end_of_the_clip(sample: Project) -> None:
    """Everything that hears the sound, but what reads none of it."""
    run = sample.run("clip_end_s=12")
    assert run.status == 0, run.out + run.err
    assert run.reasons("demux:sample") == ["params.clip_end_s"]
    assert sorted(run.ran) == sorted(ORDER)
    gone = sample.run()
    assert "the override is gone" in gone.out


def test_another_recording_in_its_place(sample: Project) -> None:
    """The source replaced: demux runs, and all that its sound changes."""
    wav = ROOT / "tests/speech/sense_and_sensibility_01_austen_64kb-0880.wav"
    (sample.root / "media/sample.mp4").unlink()
    shutil.copy(wav, sample.root / "media/sample.wav")
    run = sample.run()
    assert run.status == 0, run.out + run.err
    assert sorted(run.ran) == sorted(ORDER)
    assert run.reasons("demux:sample") == ["inputs.media"]


def test_a_comment_in_the_pipeline_file(sample: Project) -> None:
    """Order, comments and formatting never count."""
    edit(sample, "pipeline.toml", lambda text: "# a remark\n" + text)
    expect(sample.run(), [])


def test_a_stage_file_of_the_project(sample: Project) -> None:
    """A project's own stage is judged by its file; what it writes is the same, so nothing follows."""
    edit(sample, "stages/align.py", lambda text: text + "\n# a remark\n")
    run = sample.run()
    expect(run, ["align:sample"])
    assert run.reasons("align:sample") == ["stage.file"]


def test_an_output_deleted(sample: Project) -> None:
    """It is made again, and since it is the same, nothing follows."""
    (sample.root / "jobs/sample/glossary/transcript.json").unlink()
    expect(sample.run(), ["glossary:sample"])


def test_an_output_edited_by_hand(sample: Project) -> None:
    """The edited file is kept beside and named; the stage makes its own again."""
    edit(sample, "jobs/sample/translate/es/translation.json", lambda text: text.replace("a", "e"))
    edited = sample.read("jobs/sample/translate/es/translation.json")
    run = sample.run()
    expect(run, ["translate:sample:es"])
    assert "jobs/sample/translate.edited/es/translation.json" in run.out
    assert sample.read("jobs/sample/translate.edited/es/translation.json") == edited


def test_a_correction_by_a_person(sample: Project) -> None:
    """A file in corrections/ replaces the text, and what depends on the text follows; nothing is heard again."""
    shutil.copytree(
        sample.root / "out",
        sample.root / "corrections",
        ignore=lambda d, names: [n for n in names if n != "sample.en.srt"],
    )
    (sample.root / "corrections/sample.en.srt").rename(sample.root / "corrections/sample.srt")
    edit(sample, "corrections/sample.srt", lambda text: text.replace("the", "THE", 1))
    run = sample.run()
    assert run.status == 0, run.out + run.err
    assert run.ran[:2] == ["align:sample", "glossary:sample"]
    assert not {"demux:sample", "separate:sample", "transcribe:sample"} & set(run.ran)
    assert "THE" in sample.read("out/sample.en.srt")


def test_a_kill_in_the_middle_of_transcribe(sample: Project, built: Path) -> None:
    """`kill -9` while it transcribes: finished stages don't repeat, and the result is a clean build's."""
    shutil.rmtree(sample.root / "jobs")
    shutil.rmtree(sample.root / "out")
    events = sample.root.parent / "killed.jsonl"
    process = sample.start("-n", "1", events=events, start_new_session=True)
    while not (
        events.exists() and '"stage_running"' in events.read_text() and "transcribe:sample" in events.read_text()
    ):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    run = sample.run()
    assert run.status == 0, run.out + run.err
    assert sorted(run.ran) == sorted(ORDER[3:])
    assert contents(sample.root) == contents(built)


def contents(root: Path) -> dict[str, bytes]:
    """All outputs and deliveries, without manifests and what belongs to no output."""
    files = [*root.glob("out/*"), *(f for f in root.glob("jobs/sample/*/**/*") if f.is_file())]
    return {
        str(f.relative_to(root)): f.read_bytes()
        for f in files
        if ".mediabuild" not in f.parts and f.name != "manifest.json"
    }


def test_overriding_the_languages(sample: Project) -> None:
    """No language at all leaves the translation out; the next plain run takes it in again."""
    run = sample.run("language=")
    assert run.status == 0, run.out + run.err
    assert run.ran == ["subtitles:sample", "mux:sample"]
    assert not (sample.root / "out/sample.es.srt").exists()
    assert sample.run().tasks("stage_restored") == ["subtitles:sample", "mux:sample"]
    assert (sample.root / "out/sample.es.srt").exists()


SCHEMAS = {
    "demux/probe.json": "probe",
    "detect_speech/segments.json": "segments",
    "transcribe/transcript.json": "transcript",
    "align/transcript.json": "transcript",
    "glossary/transcript.json": "transcript",
    "glossary/corrections.json": "corrections",
    "translate/es/translation.json": "translation",
    "translate/es/report.json": "translation-report",
    "subtitles/subtitles.en.words.json": "words",
    "subtitles/subtitles.es.words.json": "words",
    "subtitles/subtitles.qc.json": "qc",
    "mux/mux.report.json": "mux-report",
    "demux/manifest.json": "manifest",
}


@pytest.mark.parametrize("file", SCHEMAS)
def test_what_the_stages_write_fits_its_schema(built: Path, file: str) -> None:
    """Each document of the built sample, and nothing in it that the schema doesn't know."""
    schema = json.loads((ROOT / "docs" / f"{SCHEMAS[file]}.schema.json").read_text())
    for table in [schema, *schema["$defs"].values()]:
        if "properties" in table:
            table["additionalProperties"] = False
    document = json.loads((built / "jobs/sample" / file).read_text())
    jsonschema.Draft202012Validator(schema).validate(document)


def test_the_summary_of_a_job_is_as_documented(built: Path) -> None:
    """The table in EVENTS.md names its fields."""
    text = (ROOT / "docs/EVENTS.md").read_text().partition("`jobs/JOB/manifest.json` is")[2].partition("## ")[0]
    documented = set(re.findall(r"`(\w+)`", text))
    summary = json.loads((built / "jobs/sample/manifest.json").read_text())
    assert set(summary) <= documented
    assert all(set(stage) <= documented for stage in summary["stages"].values())


def test_the_accuracy_of_the_sample(built: Path) -> None:
    """At most 10 % word errors and all of the glossary's terms, by the benchmark that prints them."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/sample.py"), "--job", str(built / "jobs/sample")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((built / "jobs/sample/translate/es/report.json").read_text())
    assert report["adherence_percent"] == 100
