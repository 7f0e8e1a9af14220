"""What a run delivers is no source of the next one, though a glob of the sources matches it."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Project

PIPELINE = """
[pipeline]
sources = ["**/*.txt"]

[stages.A]
command = ["sh", "-c", 'tr a-z A-Z < "$1" > "$2"', "A", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "a.txt" }
deliver = "DELIVER"

[stages.all]
collect = true
command = ["sh", "-c", 'o=$1; shift; cat "$@" > "$o"', "all", "{outputs.text}", "{inputs.text}"]
inputs  = { text = "A.text" }
outputs = { text = "all.txt" }
deliver = "out/together"
"""


@pytest.mark.parametrize("deliver", ["out/{job}", "{job}.upper", "out/{job}/"])
@pytest.mark.parametrize("index", [True, False])
def test_copies_are_no_sources(project: Project, deliver: str, index: bool) -> None:
    """Run after run the jobs stay the same; also where a copy was edited, and set aside; a new text is a job."""
    project.write("pipeline.toml", PIPELINE.replace("DELIVER", deliver))
    project.write("a.txt", "a\n")
    project.write("deep/b.txt", "b\n")
    assert sorted(project.run().ran) == ["A:a", "A:deep/b", "all:.all"]
    for _ in range(2):
        again = project.run()
        assert (again.status, again.ran) == (0, []), again.out
        assert project.command("check").status == 0
        if not index:
            (project.root / "jobs/.mediabuild/fresh.index").unlink(missing_ok=True)
    copy = next(path for path in project.root.rglob("*.txt") if "jobs" not in path.parts and path.read_text() == "A\n")
    copy.write_text("mine\n")
    mended = project.run()
    assert (mended.status, mended.ran) == (0, []), mended.out
    assert [path.read_text() for path in project.root.rglob("*.edited*") if path.is_file()] == ["mine\n"]
    assert project.run().ran == []
    project.write("out/c.txt", "c\n")
    assert sorted(project.run().ran) == ["A:out/c", "all:.all"]


def test_a_source_that_is_named_is_one(project: Project) -> None:
    """Then it can't be a copy: that is a mistake, as ever."""
    project.write("pipeline.toml", PIPELINE.replace("DELIVER", "out/{job}").replace('"**/*.txt"', '"a.txt"'))
    project.write("a.txt", "a\n")
    assert project.run().status == 0
    project.write("pipeline.toml", project.read("pipeline.toml").replace('["a.txt"]', '["a.txt", "out/together.txt"]'))
    assert "as the source does" in project.run().err
