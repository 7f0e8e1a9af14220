"""Which files are recordings: what a run makes never is, and an exclusion means a file however it is spelt."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.e2e.conftest import CHAIN, Project


@pytest.mark.parametrize(
    ("sources", "jobs"),
    [
        ('["./media/*.txt", "!media/x.txt"]', {"y"}),
        ('["media/*.txt", "!./media/x.txt"]', {"y"}),
        ('["media/x.txt", "media/y.txt", "!media/x*"]', {"y"}),
        ('["media/**/*.txt", "!media/drafts"]', {"x", "y"}),
        ('["media/**/*.txt", "!media/drafts/"]', {"x", "y"}),
        ('["media/**/*", "!./media/d*"]', {"x", "y"}),
    ],
)
def test_exclusions_are_compared_by_what_they_mean(project: Project, sources: str, jobs: set[str]) -> None:
    """A file, a folder, a pattern; a source that is named outright too; what a file manager left is none."""
    project.write("pipeline.toml", CHAIN.replace('["media/*.txt"]', sources))
    for name in ("x.txt", "y.txt", "drafts/z.txt", "Thumbs.db"):
        project.write(f"media/{name}", "hello\n")
    assert {name.partition(":")[2] for name in project.run().ran} == jobs


def test_outputs_are_no_recordings(project: Project) -> None:
    """Where the glob matches all of the project."""
    project.write("pipeline.toml", CHAIN.replace('"media/*.txt"', '"**/*.txt"'))
    project.write("media/x.txt", "hello\n")
    assert len(project.run().ran) == 3
    assert project.run().ran == []


def test_what_one_job_lacks_is_that_jobs_trouble(project: Project) -> None:
    """It fails by name, the other is built; a path that no job has is a mistake of the pipeline."""
    text = CHAIN.replace(
        'inputs  = { text = "B.text" }', 'inputs  = { text = "B.text", slides = "./slides/{job}.txt" }'
    )
    project.write("pipeline.toml", text)
    for name in ("media/x.txt", "media/y.txt", "slides/x.txt"):
        project.write(name, "hello\n")
    run = project.run()
    assert (run.status, run.tasks("stage_failed")) == (1, ["C:y"])
    assert "slides/y.txt" in run.out
    assert project.read("jobs/x/C/c.txt")
    assert project.run("--job", "x").status == 0
    project.write("pipeline.toml", text.replace("./slides/{job}.txt", "./slides/none.txt"))
    assert project.run().status == 3


def test_a_jobs_directory_in_the_users_home(project: Project) -> None:
    """`~` is home, also where nothing changed and the index answers."""
    project.env["HOME"] = str(project.root.parent / "home")
    project.write("pipeline.toml", CHAIN.replace("[pipeline]", '[pipeline]\njobs_dir = "~/jobs"'))
    project.write("media/x.txt", "hello\n")
    assert project.run().status == 0
    assert (project.root.parent / "home/jobs/x/C/c.txt").exists()
    assert project.run().ran == []
    assert not (project.root / "~").exists()


def test_recordings_that_differ_in_their_suffix_only(project: Project) -> None:
    """A mistake with a hint, which works: both are built and delivered under names of their own."""
    text = CHAIN.replace("*.txt", "*.{txt,md}") + 'deliver = "out/{job}"\n'
    project.write("pipeline.toml", text)
    for name in ("a.txt", "a.md"):
        project.write(f"media/{name}", f"{name}\n")
    said = project.run()
    assert said.status == 3
    assert 'job = "{path}{suffix}"' in said.err
    project.write("pipeline.toml", text.replace("[pipeline]", '[pipeline]\njob = "{path}{suffix}"'))
    assert project.run().status == 0
    assert sorted(path.name for path in (project.root / "out").iterdir()) == ["a.md.txt", "a.txt.txt"]
    for wrong in ("{stem}", "{suffix}", "all"):
        project.write("pipeline.toml", text.replace("[pipeline]", f'[pipeline]\njob = "{wrong}"'))
        assert project.command("validate").status == 3


def test_a_loop_of_links_makes_one_job_of_a_recording(project: Project) -> None:
    """A folder that links to itself, two that link to each other; a folder that only a link leads to is followed."""
    project.write("pipeline.toml", CHAIN.replace("media/*.txt", "media/**/*.txt"))
    for name in ("media/a/x.txt", "media/b/y.txt", "elsewhere/z.txt"):
        project.write(name, "hello\n")
    for link, target in (("media/loop", "."), ("media/a/to-b", "../b"), ("media/far", "../elsewhere")):
        (project.root / link).symlink_to(target)
    assert {name.partition(":")[2] for name in project.run().ran} == {"a/x", "b/y", "far/z"}


def test_a_recording_beside_the_pipeline_file(project: Project) -> None:
    """Where there is no other, what to type takes it to where sources are."""
    project.write("pipeline.toml", CHAIN)
    project.write("my talk.TXT", "hello\n")
    for _ in range(2):  # without the folder, and with it
        said = project.command("validate").err
        (typed,) = re.findall(r"no source matches media/\*\.txt \((.*)\)", said)
        subprocess.run(typed, shell=True, cwd=project.root, check=True)
        assert project.command("validate").status == 0
        (project.root / "media/my talk.TXT").rename(project.root / "my talk.TXT")


def test_suffixes_fit_in_any_case(project: Project) -> None:
    """`A.TXT` is a recording of `*.txt`, in a brace set and below folders too; so is what is excluded."""
    for name in ("A.TXT", "deep/b.Txt", "c.txt", "d.DOC"):
        project.write(f"media/{name}", f"{name}\n")
    project.write("pipeline.toml", CHAIN.replace('["media/*.txt"]', '["media/**/*.{txt,md}"]'))
    run = project.run()
    assert (run.status, run.events[-1]["built"]) == (0, 9)
    assert sorted(path.name for path in (project.root / "jobs").iterdir()) == [".mediabuild", "A", "c", "deep"]
    project.write("pipeline.toml", CHAIN.replace('["media/*.txt"]', '["media/**/*.{txt,md}", "!media/*.txt"]'))
    assert "3 of 3 up to date" in project.command("--dry-run").out


def test_links_that_lead_round_and_round_end(project: Project) -> None:
    """A glob of an input too: three links of a folder to itself are walked once, not forty levels deep three ways."""
    project.write(
        "pipeline.toml",
        CHAIN.replace("media/*.txt", "media/**/*.txt").replace(
            '{ media = "source" }', '{ media = "source", notes = "./media/**/*.md" }'
        ),
    )
    for name in ("media/x.txt", "media/a/n.md", "media/b/m.md"):
        project.write(name, "hello\n")
    for link, target in (
        ("1", "."),
        ("2", "."),
        ("3", "../media"),
        ("a/b", "../b"),
        ("b/a", "../a"),
        ("far", "../far"),
    ):
        (project.root / "media" / link).symlink_to(target)
    project.write("far/o.md", "hello\n")
    run = project.run()
    assert (run.status, len(run.ran)) == (0, 3), run.err
    manifest = json.loads(project.read("jobs/x/A/manifest.json"))
    assert sorted(manifest["inputs"]["notes"]) == ["media/a/n.md", "media/b/m.md", "media/far/o.md"]
    assert project.run().ran == []
    (project.root / "media/Thumbs.db").write_text("x")
    (project.root / "media/a/._n.md").write_text("x")
    assert project.run().ran == []


def test_an_exclusion_that_fits_nothing_is_named(project: Project) -> None:
    """By the run and by `validate`, with the nearest recording or folder; it stops nothing."""
    text = CHAIN.replace('["media/*.txt"]', '["media/**/*.txt", "!media/draft", "!media/y.txt", "!media/*.old"]')
    project.write("pipeline.toml", text)
    for name in ("x.txt", "y.txt", "drafts/z.txt"):
        project.write(f"media/{name}", "hello\n")
    run = project.run("--job", "x")
    assert run.status == 0
    validated = project.command("validate")
    assert validated.status == 0
    for said in (run.err, validated.out):
        assert "!media/draft fits nothing; did you mean 'media/drafts'?" in said
        assert "!media/*.old fits nothing" in said
        assert "!media/y.txt" not in said


def test_brackets_in_a_folders_name(project: Project) -> None:
    """`[2024]` is one letter of a glob: where a folder is called so, the mistake says how to write it; that works."""
    text = CHAIN.replace('"media/*.txt"', '"media/*.txt", "SOURCES"').replace(
        '{ media = "source" }', '{ media = "source", notes = "NOTES" }'
    )
    for name in ("media/x.txt", "media/[2024] may/y.txt", "notes [a]/x.md", "notes [a]/2024 may/y.md"):
        project.write(name, "hello\n")

    def said(sources: str, notes: str) -> str:
        project.write("pipeline.toml", text.replace("SOURCES", sources).replace("NOTES", notes))
        return project.command("validate").err

    assert '"media/[[]2024] may/*.txt"' in said("media/[2024] may/*.txt", "./notes [[]a]/**/*.md")
    assert '"notes [[]a]/**/*.md"' in said("media/[[]2024] may/*.txt", "?./notes [a]/**/*.md")
    assert said("media/[[]2024] may/*.txt", "?./notes [[]a]/**/*.md") == ""
    assert {name.partition(":")[2] for name in project.run().ran} == {"x", "[2024] may/y"}


def test_validate_lists_what_jobs_lack(project: Project) -> None:
    """A path with `{job}` that isn't there for one of the jobs, unless it may be absent or the media isn't here."""
    text = CHAIN.replace('{ text = "B.text" }', '{ text = "B.text", slides = "./slides/{job}.txt" }')
    project.write("pipeline.toml", text)
    for name in ("media/x.txt", "media/y.txt", "slides/x.txt"):
        project.write(name, "hello\n")
    validated = project.command("validate")
    assert validated.status == 1
    assert "C:y: inputs.slides: nothing is at slides/y.txt" in validated.out
    assert "C:x" not in validated.out
    assert project.command("validate", "--manifests-only").status == 0
    project.write("pipeline.toml", text.replace("./slides", "?./slides"))
    assert project.command("validate").status == 0


def test_home_wherever_a_path_may_stand(project: Project) -> None:
    """`~` is home in sources, exclusions, inputs and options; where it can't be it is a mistake, never a folder `~`."""
    home = project.root.parent / "home"
    project.env["HOME"] = str(home)
    text = CHAIN.replace('"media/*.txt"', '"~/media/*.txt", "!~/media/y.txt"').replace(
        '{ media = "source" }', '{ media = "source", notes = "~/notes/{job}.md" }'
    )
    project.write("pipeline.toml", text)
    for name in ("media/x.txt", "media/y.txt", "notes/x.md"):
        project.write(f"../home/{name}", "hello\n")
    run = project.run()
    assert (run.status, run.ran) == (0, ["A:x", "B:x", "C:x"]), run.err
    assert project.command("--source=~/media/x.txt", "--job-dir=~/jobs/x", "--events=~/run.jsonl").status == 0
    assert (home / "jobs/x/C/c.txt").exists()
    assert (home / "run.jsonl").exists()
    for wrong in (text + 'deliver = "~/out/{job}"\n', text.replace('"sh", "-c", \'rev', '"~/bin/sh", "-c", \'rev')):
        project.write("pipeline.toml", wrong)
        assert project.command("validate").status == 3
    assert not (project.root / "~").exists()


def test_one_misspelling_is_said_once(project: Project) -> None:
    """An output that several stages misspell is one mistake, with the places."""
    project.write("media/x.txt", "hello\n")
    project.write("pipeline.toml", CHAIN.replace('{ text = "B.text" }', '{ text = "A.txet", more = "A.txet" }'))
    said = project.command("validate").err
    assert said.count("has no output 'txet'") == 1
    assert "stages.C.inputs.text, stages.C.inputs.more: 'A' has no output 'txet' (did you mean 'text'?)" in said


def test_paths_that_look_the_same_are_the_same(project: Project) -> None:
    """Recordings and notes as a Mac stores them, typed on another keyboard: outright, in a glob, excluded, by job."""
    typed, stored = "caf\u00e9", "cafe\u0301"
    for name in (f"{stored}/{stored}.txt", f"{stored}/x.txt", f"{stored}/old-{stored}.txt", "plain.txt"):
        project.write(f"media/{name}", "hello\n")
    project.write(f"{stored} notes/{typed}.md", "note\n")
    sources = f'["media/{typed}/{typed}.txt", "media/{typed}/*.txt", "!media/{typed}/x.txt", "!media/*/old-{typed}*"]'
    inputs = f'{{ media = "source", notes = "./{typed} notes/{{job}}.md", all = "./{typed} notes/{typed}*.md" }}'
    text = CHAIN.replace('["media/*.txt"]', sources).replace('{ media = "source" }', inputs)
    project.write("pipeline.toml", text)
    run = project.run()
    assert (run.status, run.ran) == (0, [f"{stage}:{stored}" for stage in "ABC"]), run.out + run.err
    assert "fits nothing" not in run.err
    manifest = json.loads(project.read(f"jobs/{stored}/A/manifest.json"))
    assert list(manifest["inputs"]["notes"]) == list(manifest["inputs"]["all"]) == [f"{stored} notes/{typed}.md"]
    assert project.run().ran == []
    assert project.run("--source", f"media/{typed}/x.txt").status == 1  # it has no notes


def test_recordings_of_one_name_in_two_folders(project: Project) -> None:
    """Two cameras count alike: the mistake says how one glob tells them apart, and that works."""
    project.write("pipeline.toml", CHAIN.replace('"media/*.txt"', '"cam1/*.txt", "cam2/*.txt"'))
    for name in ("cam1/clip.txt", "cam2/clip.txt"):
        project.write(name, f"{name}\n")
    said = project.run()
    assert said.status == 3
    assert '"{cam1,cam2}/*.txt"' in said.err
    project.write("pipeline.toml", CHAIN.replace('"media/*.txt"', '"{cam1,cam2}/*.txt"'))
    assert {name.partition(":")[2] for name in project.run().ran} == {"cam1/clip", "cam2/clip"}
