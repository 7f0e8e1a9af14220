"""`reset-dep` adopts the outputs that are there as the result of the present facts."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import CHAIN, Project, Ran
from tests.e2e.test_tampering import contents, edited, output


def adopt(project: Project, *names: str) -> Ran:
    """`reset-dep`."""
    return project.command("reset-dep", *names)


def test_reset_dep_adopts_an_edit(chain: Project) -> None:
    """The edited output is what B made, from now on: C follows it, B doesn't run, and `clean` knows it."""
    output(chain, "B").write_text("mine\n")
    adopted = adopt(chain, "B:one")
    assert adopted.status == 0
    assert "B:one" in adopted.out
    second = chain.run()
    assert second.ran == ["C:one"]
    assert contents(chain) == {"A": "hello\n", "B": "mine\n", "C": "enim\n"}
    assert chain.run().ran == []
    assert chain.command("check").status == 0
    assert chain.command("validate").status == 0


def test_reset_dep_adopts_a_file_for_changed_facts(chain: Project) -> None:
    """After a param changed, adopting says that the present outputs are right for it."""
    chain.write("pipeline.toml", CHAIN.replace("times = 2", "times = 9"))
    assert adopt(chain, "B").status == 0
    assert chain.run().ran == []
    assert output(chain, "B").read_text() == "hello\nhello\n"


def test_reset_dep_without_names_takes_all(chain: Project) -> None:
    """Nothing stale is skipped by name, the rest is adopted."""
    output(chain, "C").write_text("mine\n")
    all_of_them = adopt(chain)
    assert all_of_them.status == 0
    assert "skip A:one" in all_of_them.out
    assert "processed C:one" in all_of_them.out
    assert chain.run().ran == []


@pytest.mark.parametrize("what", ["the file", "the directory"])
def test_reset_dep_on_missing_outputs_fails(chain: Project, what: str) -> None:
    """There is nothing to adopt: exit 1, a plain word, and the next run makes it."""
    clean = contents(chain)
    output(chain, "B").unlink()
    if what == "the directory":
        (output(chain, "B").parent / "manifest.json").unlink()
        output(chain, "B").parent.rmdir()
    adopted = adopt(chain, "B:one")
    assert adopted.status == 1
    assert "failed B:one" in adopted.out
    assert "Traceback" not in adopted.err
    assert chain.run().ran == ["B:one"]
    assert contents(chain) == clean


def test_reset_dep_without_a_first_build(project: Project) -> None:
    """On a project that was never built it fails for each task and makes nothing."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    assert adopt(project).status == 1
    assert not list(project.root.glob("jobs/one/?"))


def test_the_upstream_of_an_adopted_edit_changes(chain: Project) -> None:
    """An adopted edit is no fortress: when B's input changes B runs, and what was adopted is kept beside it."""
    output(chain, "B").write_text("mine\n")
    adopt(chain, "B:one")
    chain.write("media/one.txt", "world\n")
    assert chain.run().ran == ["A:one", "B:one", "C:one"]
    assert contents(chain)["B"] == "world\nworld\n"
    assert edited(chain, "B") == {"b.txt": "mine\n"}
