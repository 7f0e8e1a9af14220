"""Modes and links are content: recorded, compared, and what they were when outputs come back; no link leads out."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Project

TREE = """
[pipeline]
sources = ["media/*.txt"]

[stages.A]
command = ["sh", "make.sh", "{inputs.text}", "{outputs.tree}", "{outputs.tool}", "{params.word}"]
inputs  = { text = "source" }
outputs = { tree = "tree", tool = "tool" }
params  = { word = "one" }

[stages.B]
command = ["sh", "-c", '[ -L "$1/link" ] && l=link; { "$2"; cat "$1/link"; echo $l; } > "$3"', "B",
           "{inputs.tree}", "{inputs.tool}", "{outputs.text}"]
inputs  = { tree = "A.tree", tool = "A.tool" }
outputs = { text = "b.txt" }
"""
MAKE = """
mkdir -p "$2/deep"; cat "$1" > "$2/file"; echo "$4" > "$2/deep/inner"
ln -s deep/inner "$2/link"; ln -s deep "$2/folder"; ln -s ../file "$2/deep/up"
printf '#!/bin/sh\\necho ran\\n' > "$3"; chmod 755 "$3"; cp -p "$3" "$2/script"
"""


def entries(folder: Path) -> dict[str, str]:
    """Every entry of a stage's directory: a link's text, `x` for an executable, `-` for another file."""
    found = {}
    for above, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(above, name)
            if path.is_symlink():
                found[str(path.relative_to(folder))] = f"→ {os.readlink(path)}"
            elif path.is_file() and name != "manifest.json":
                found[str(path.relative_to(folder))] = (
                    "x" if os.access(path, os.X_OK) and path.stat().st_mode & 0o100 else "-"
                )
    return found


MADE = {
    "tool": "x",
    "tree/script": "x",
    "tree/file": "-",
    "tree/deep/inner": "-",
    "tree/link": "→ deep/inner",
    "tree/folder": "→ deep",
    "tree/deep/up": "→ ../file",
}


@pytest.fixture
def tree(project: Project) -> Project:
    """A makes a tree with links and executables, B uses them; built once."""
    project.write("pipeline.toml", TREE)
    project.write("make.sh", MAKE)
    project.write("media/a.txt", "a\n")
    built = project.run()
    assert built.status == 0, built.out
    return project


def made(project: Project, job: str = "a") -> dict[str, str]:
    """What is in A's directory."""
    return entries(project.root / f"jobs/{job}/A")


def test_they_are_published_and_recorded(tree: Project) -> None:
    """As the stage made them; a link is one entry of the manifest, also one to a folder; nothing is stale then."""
    assert made(tree) == MADE
    recorded = json.loads(tree.read("jobs/a/A/manifest.json"))["outputs"]["tree"]
    assert sorted(recorded) == sorted(name for name in MADE if name != "tool")
    assert recorded["tree/link"].endswith("+link:deep/inner")
    assert recorded["tree/folder"].endswith("+link:deep/")
    assert recorded["tree/script"].endswith("+x")
    assert tree.read("jobs/a/B/b.txt") == "ran\none\nlink\n"
    assert tree.run().ran == []
    (tree.root / "jobs/.mediabuild/fresh.index").unlink()
    shutil.rmtree(tree.root / "jobs/.mediabuild")
    assert tree.run().ran == []
    assert tree.command("validate").status == 0


CHANGES = {
    "no executable": lambda a: (a / "tool").chmod(0o644),
    "an executable": lambda a: (a / "tree/file").chmod(0o755),
    "a link elsewhere": lambda a: ((a / "tree/link").unlink(), (a / "tree/link").symlink_to("file")),
    "a link to the same": lambda a: ((a / "tree/link").unlink(), (a / "tree/link").symlink_to("./deep/inner")),
    "a file for a link": lambda a: (
        (a / "tree/link").unlink(),
        (a / "tree/link").write_bytes((a / "tree/deep/inner").read_bytes()),
    ),
    "a hard link for a link": lambda a: ((a / "tree/link").unlink(), os.link(a / "tree/deep/inner", a / "tree/link")),
    "a folder for a link": lambda a: (
        (a / "tree/folder").unlink(),
        shutil.copytree(a / "tree/deep", a / "tree/folder"),
    ),
    "a link for a file": lambda a: ((a / "tree/file").rename(a / "f"), (a / "tree/file").symlink_to("../f")),
    "one link more": lambda a: (a / "tree/more").symlink_to("file"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("index", [True, False])
def test_a_change_of_them_is_found(tree: Project, change: str, index: bool) -> None:
    """With equal content: stale, mended, and what was there is kept aside if a person may have meant it."""
    assert tree.run().ran == []
    CHANGES[change](tree.root / "jobs/a/A")
    if not index:
        (tree.root / "jobs/.mediabuild/fresh.index").unlink()
    assert tree.command("check").status == 1
    changed = tree.run()
    assert (changed.status, changed.reasons("A:a")[0].partition(".")[0]) == (0, "outputs"), changed.out
    assert made(tree) == MADE
    assert tree.run().ran == []


def test_they_come_back_from_earlier_outputs(tree: Project) -> None:
    """A param there and back."""
    assert tree.run("A.word=two").status == 0
    assert tree.read("jobs/a/B/b.txt") == "ran\ntwo\nlink\n"
    back = tree.run()
    assert (back.ran, sorted(back.tasks("stage_restored"))) == ([], ["A:a", "B:a"])
    assert made(tree) == MADE


def test_a_change_of_mode_or_link_alone_is_a_change_for_readers(tree: Project) -> None:
    """The bytes are the same, and B runs all the same."""
    for old, new in (
        ('ln -s deep/inner "$2/link"', 'cp "$2/deep/inner" "$2/link"'),
        ("chmod 755", "chmod 755 $2/file"),
    ):
        tree.write("make.sh", tree.read("make.sh").replace(old, new))
        assert tree.run().ran == ["A:a", "B:a"]
        assert tree.run().ran == []


PYTHON = '''"""Make a tree."""
import os
import msgspec
from mediabuild.stage import Context, stage

class Words(msgspec.Struct):
    word: str = "one"

@stage(version=1, inputs={"text": "a text"}, outputs={"tree": "tree", "tool": "tool"})
def own(ctx: Context, params: Words) -> None:
    os.system(f"sh make.sh {ctx.input('text')} {ctx.output('tree')} {ctx.output('tool')} {params.word}")
'''


@pytest.fixture
def delivering(project: Project) -> Project:
    """The same made by a Python stage and delivered, so that another job and copies can give it."""
    project.write("stages/own.py", PYTHON)
    project.write("make.sh", MAKE)
    table = '[stages.own]\ninputs = { text = "source" }\ndeliver = "out/{job}"\n'
    project.write("pipeline.toml", '[pipeline]\nsources = ["media/*.txt"]\n' + table)
    project.write("media/a.txt", "a\n")
    built = project.run()
    assert built.status == 0, built.out
    return project


def test_they_come_from_another_job(delivering: Project) -> None:
    """The same recording under another name."""
    delivering.write("media/b.txt", "a\n")
    again = delivering.run()
    assert (again.status, again.ran, again.tasks("stage_restored")) == (0, [], ["own:b"]), again.out
    assert entries(delivering.root / "jobs/b/own") == MADE
    assert delivering.run().ran == []


def test_copies_are_executables_too_and_are_good_for_repair(delivering: Project) -> None:
    """A delivered copy of an executable is one, a copy of a link is a file; what is lost comes back as it was."""
    out = delivering.root / "out"
    files = {str(f.relative_to(out)): f.stat().st_mode & 0o100 > 0 for f in out.rglob("*") if f.is_file()}
    assert {name.rpartition("/")[2] for name, runs in files.items() if runs} == {"script", "a.tool"}
    assert not [f for f in out.rglob("*") if f.is_symlink()]
    assert delivering.run().ran == []
    assert delivering.command("check").status == 0
    own = delivering.root / "jobs/a/own"
    (own / "tool").unlink()
    (own / "tree/script").unlink()
    (own / "tree/link").unlink()
    repaired = delivering.run()
    assert (repaired.status, repaired.ran) == (0, []), repaired.out
    assert entries(own) == MADE
    copy = next(f for f in out.rglob("*tool"))
    copy.chmod(0o644)
    assert delivering.command("check").status == 1
    assert delivering.run().status == 0
    assert os.access(next(f for f in out.rglob("*tool") if "edited" not in f.name), os.X_OK)


def test_an_edit_behind_a_link_is_one_edit_and_clean_leaves_no_link(tree: Project) -> None:
    """What a link leads to was edited: that file is kept, and no link; `clean` removes links, whatever goes first."""
    tree.write("jobs/a/A/tree/file", "mine\n")
    tree.write("jobs/a/A/tree/deep/inner", "mine too\n")
    mended = tree.run()
    assert (mended.status, mended.ran) == (0, ["A:a"]), mended.out
    assert sorted(entries(tree.root / "jobs/a/A.edited")) == ["tree/deep/inner", "tree/file"]
    assert made(tree) == MADE
    assert "keeping" not in tree.command("clean").out
    assert not (tree.root / "jobs/a/A").exists()


def test_pieces_keep_them_too(project: Project) -> None:
    """A command for each file: what is kept of a piece is an executable, or a link, as it was."""
    project.write("pipeline.toml", """
[pipeline]
sources = ["media/*.txt"]
[stages.A]
command = ["sh", "-c", 'cp "$1" "$2"; chmod 755 "$2"; ln -s "${2##*/}" "$3"', "A", "{inputs.parts}", "{outputs.text}",
           "{outputs.link}"]
each    = "parts"
inputs  = { parts = "./parts/*.txt" }
outputs = { text = "*.txt", link = "*.lnk" }
""")  # fmt: skip
    project.write("media/a.txt", "a\n")
    for number in (1, 2):
        project.write(f"parts/{number}.txt", f"{number}\n")
        built = project.run()
        assert built.status == 0, built.out
    assert entries(project.root / "jobs/a/A") == {
        "1.txt": "x", "1.lnk": "→ 1.txt", "2.txt": "x", "2.lnk": "→ 2.txt"
    }  # fmt: skip
    assert project.run().ran == []


def test_a_mode_follows_the_umask(delivering: Project) -> None:
    """Whoever may read a copy of an executable may run it, and nobody else."""
    delivering.write("media/b.txt", "a\n")
    before = os.umask(0o077)
    try:
        delivering.launcher, launcher = None, delivering.launcher
        assert delivering.run().status == 0
    finally:
        os.umask(before)
        delivering.launcher = launcher
    assert (delivering.root / "jobs/b/own/tool").stat().st_mode & 0o777 == 0o700


def carry(root: Path) -> None:
    """What a file system without modes makes of a project that goes there and back: all files are executables."""
    for file in root.rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.chmod(0o755)


def test_a_project_that_was_carried_over_a_file_system_without_modes_is_fresh(delivering: Project) -> None:
    """Nothing counts as changed, today or tomorrow, and nothing as an edit; what is made from it has true modes."""
    root = delivering.root
    assert delivering.run("own.word=two").status == 0
    carry(root)
    assert delivering.command("check").status == 1  # the override is gone
    back = delivering.run()
    assert (back.status, back.ran, back.tasks("stage_restored")) == (0, [], ["own:a"]), back.out
    carry(root)
    for _ in range(2):  # the first notes the time of the check in the manifest
        assert delivering.command("check").status == 0
        assert (delivering.run().ran, delivering.command("check").status) == ([], 0)
        (root / "jobs/.mediabuild/fresh.index").unlink()
        (root / "jobs/.mediabuild/stats.cache").unlink()
    delivering.write("media/b.txt", "a\n")
    copied = delivering.run()
    assert (copied.ran, copied.tasks("stage_restored")) == ([], ["own:b"]), copied.out
    assert entries(root / "jobs/b/own") == MADE
    (root / "jobs/a/own/tool").unlink()
    assert delivering.run().ran == []
    assert entries(root / "jobs/a/own") == MADE
    assert delivering.command("check").status == 0
    assert not list(root.rglob("*edited*"))


def test_a_carried_change_is_a_change_all_the_same(tree: Project) -> None:
    """Content decides, also where modes say nothing; adopted outputs keep what was recorded of their modes."""
    carry(tree.root)
    assert tree.run().ran == []
    tree.write("jobs/a/A/tree/file", "edited\n")
    assert tree.command("reset-dep", "A:a").status == 0
    recorded = json.loads(tree.read("jobs/a/A/manifest.json"))["outputs"]["tree"]
    assert {path for path, digest in recorded.items() if digest.endswith("+x")} == {"tree/script"}
    assert tree.run().ran == ["B:a"]
    tree.write("jobs/a/A/tree/file", "edited again\n")
    assert tree.run().ran == ["A:a"]
    assert made(tree) == MADE
    assert len(list(tree.root.rglob("*.edited/tree/file"))) == 1


def test_a_mode_alone_is_no_edit(delivering: Project) -> None:
    """A copy and an output whose mode somebody changed are made right; nothing is set aside."""
    copy = next((delivering.root / "out").rglob("*tool"))
    copy.chmod(0o644)
    (delivering.root / "jobs/a/own/tree/file").chmod(0o755)
    assert delivering.command("check").status == 1
    mended = delivering.run()
    assert (mended.status, mended.ran) == (0, []), mended.out
    assert (os.access(copy, os.X_OK), entries(delivering.root / "jobs/a/own")) == (True, MADE)
    assert not list(delivering.root.rglob("*edited*"))


OUTSIDE = {
    "absolute": 'ln -s "$PWD/media/a.txt" "$2"',
    "absolute, inside": 'echo x > "${2%/*}/real"; ln -s "$PWD/${2%/*}/real" "$2"',
    "climbing": 'ln -s ../../../media/a.txt "$2"',
    "climbing through its own name": 'echo x > "${2%/*}/real"; d=$(basename "${2%/*}"); ln -s "../$d/real" "$2"',
    "climbing from below": 'mkdir "${2%/*}/d"; ln -s ../../x "${2%/*}/d/l"; echo x > "$2"',
    "to nothing": 'ln -s nothing "$2"',
    "to itself": 'ln -s "$(basename "$2")" "$2"',
    "to the folder that holds it": 'ln -s . "$2"',
    "through another link": 'ln -s / "${2%/*}/root"; ln -s root/etc "$2"',
    "to the manifest": 'ln -s manifest.json "$2"',
    "a directory that is a link": 'd=${2%/*}; mkdir other; echo x > other/a.txt; rm -r "$d"; ln -s "$PWD/other" "$d"',
    "a directory that is a file": 'd=${2%/*}; rm -r "$d"; echo x > "$d"',
    "a pipe": 'mkfifo "$2"',
    "a folder that is a link": 'ln -s "$PWD/media" "${2%/*}/d"; echo x > "$2"',
}


@pytest.mark.parametrize("way", OUTSIDE)
def test_links_that_lead_out_or_nowhere_are_refused(project: Project, way: str) -> None:
    """The stage fails by name, nothing is published, and nothing is lost outside."""
    project.write("make.sh", OUTSIDE[way] + "\n")
    project.write("media/a.txt", "a\n")
    project.write("pipeline.toml", """
[pipeline]
sources = ["media/*.txt"]
[stages.A]
command = ["sh", "make.sh", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "a.txt" }
""")  # fmt: skip
    failed = project.run()
    assert (failed.status, failed.tasks("stage_failed")) == (1, ["A:a"]), failed.out
    assert "Traceback" not in failed.out + failed.err
    assert not os.path.lexists(project.root / "jobs/a/A")
    assert project.read("media/a.txt") == "a\n"
    if way == "a directory that is a link":
        assert project.read("other/a.txt") == "x\n"
    assert list((project.root / "jobs/a/.mediabuild/tmp").iterdir()) == []
