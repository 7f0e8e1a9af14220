"""status, explain, check, validate, graph and --dry-run: what they show, and that they run nothing.

Not here: that it is what a run would do (`test_foretold`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema

from tests.e2e.conftest import CHAIN, Project

CLONE = Path(__file__).parents[2]
STATUS_SCHEMA = json.loads((CLONE / "docs/status.schema.json").read_text())
MATRIX = """
[stages.D]
command = ["cp", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "B.text" }
outputs = { text = "d.txt" }
matrix  = { language = ["de", "es"] }
params  = { note = "x" }

[stages.all-of-them]
command = ["sh", "-c", 'out=$1; shift; cat "$@" > "$out"', "E", "{outputs.text}", "{inputs.texts}"]
inputs  = { texts = "D.text" }
outputs = { text = "e.txt" }
"""


def asked(project: Project, *args: str, status: int = 0) -> str:
    """What a question is answered with; it must end so, and change no output and no manifest."""
    before = snapshot(project)
    done = project.command(*args)
    assert done.status == status, done.out + done.err
    assert "Traceback" not in done.err
    assert snapshot(project) == before
    return done.out


def snapshot(project: Project) -> dict[str, bytes]:
    """Everything that a question must leave alone."""
    files = (path for path in project.root.rglob("*") if path.is_file() and ".mediabuild" not in path.parts)
    return {str(path): path.read_bytes() for path in files}


def told(project: Project, *args: str, status: int = 0) -> dict[str, dict[str, Any]]:
    """The JSON of a question, checked against its schema: task → what is said of it."""
    found = json.loads(asked(project, *args, "--json", status=status))
    jsonschema.validate(found, STATUS_SCHEMA)
    return {entry["task"]: entry for entry in found}


def states(project: Project, *args: str) -> dict[str, str]:
    """Task → state, from `status --json`."""
    return {task: entry["state"] for task, entry in told(project, "status", *args).items()}


def edit_the_source(project: Project) -> None:
    project.write("media/one.txt", "changed\n")


def edit_a_param(project: Project) -> None:
    project.write("pipeline.toml", CHAIN.replace("times = 2", "times = 3"))


def edit_an_output(project: Project) -> None:
    project.write("jobs/one/B/b.txt", "mine\n")


def add_a_source(project: Project) -> None:
    project.write("media/two.txt", "two\n")


def test_status_is_a_table_of_jobs_and_stages(chain: Project) -> None:
    """A row for each job, a column for each stage, no colour outside a terminal, and the reasons below."""
    add_a_source(chain)
    edit_a_param(chain)
    text = asked(chain, "status")
    assert "\x1b[" not in text
    rows = [line for line in text.splitlines() if "│" in line]
    assert [row.split("│")[1].strip() for row in rows] == ["one", "two"]
    assert [cell.strip() for cell in rows[0].split("│")[2:5]] == ["fresh", "stale", "follows"]
    assert "B:one: params.times: 2 → 3" in text
    assert "A:two: not built yet" in text


def test_names_with_brackets_and_colons_are_printed_as_they_are(chain: Project) -> None:
    """Nothing in a name is markup or an emoji: `[red]`, `:one:`."""
    chain.write("media/[red]x.txt", "x\n")
    text = asked(chain, "status")
    assert "A:[red]x: not built yet" in text
    edit_the_source(chain)
    assert "A:one: inputs.media" in asked(chain, "status")


def test_status_json_has_the_manifests_facts(chain: Project) -> None:
    """timestamp, last_checked_ts, duration, device of each task."""
    manifest = json.loads(chain.read("jobs/one/B/manifest.json"))
    entry = told(chain, "status")["B:one"]
    facts = ("timestamp", "duration_s", "device")
    assert [entry[key] for key in facts] == [manifest[key] for key in facts]
    assert manifest["last_checked_ts"] <= entry["last_checked_ts"] <= time.time()  # the index may know of a later look
    assert (entry["stage"], entry["job"], entry["reasons"]) == ("B", "one", [])


def test_questions_take_names_and_ranges(chain: Project) -> None:
    """Names bring what they need; a range is the range; `check` of a fresh part holds."""
    add_a_source(chain)
    assert set(states(chain, "B:two")) == {"A:two", "B:two"}
    assert set(states(chain, "--stages=C")) == {"C:one", "C:two"}
    assert set(states(chain, "--job=one")) == {"A:one", "B:one", "C:one"}
    asked(chain, "check", "--job=one")
    asked(chain, "check", "*:one")
    asked(chain, "check", "C:two", status=1)


def test_a_failure_is_shown_until_it_is_gone(chain: Project) -> None:
    """`failed` with its message, `blocked` below; after the cause is gone the next run clears both."""
    chain.write("pipeline.toml", CHAIN.replace("for i in", "echo broken; exit 3; for i in"))
    assert chain.run().status == 1
    assert states(chain) == {"A:one": "fresh", "B:one": "failed", "C:one": "blocked"}
    assert "exit 3" in told(chain, "status")["B:one"]["message"]
    asked(chain, "check", status=1)
    chain.write("pipeline.toml", CHAIN)
    assert chain.run().status == 0
    assert set(states(chain).values()) == {"fresh"}


def test_dry_run(chain: Project) -> None:
    """Exit 0, what would run with its reason, what would follow; with `--force` and names too; no event log."""
    edit_a_param(chain)
    text = asked(chain, "--dry-run")
    assert "RUN     B:one  params.times: 2 → 3" in text
    assert "FOLLOW  C:one" in text
    assert "1 of 3 up to date" in text
    forced = asked(chain, "--dry-run", "--force", "--stages=A")
    assert "RUN     A:one  forced" in forced
    assert chain.run("--dry-run").events == []


def test_dry_run_of_a_first_build(project: Project) -> None:
    """On a project that was never built it makes nothing at all that a build would."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    assert "RUN     A:one  not built yet" in asked(project, "--dry-run")
    assert not list(project.root.glob("jobs/one"))


def test_check_where_the_outputs_are_not(chain: Project) -> None:
    """A CI runner has the manifests and not the media: `--manifests-only` holds, and still sees params and code."""
    for path in [*chain.root.glob("jobs/*/?/*.txt")]:
        path.unlink()
    asked(chain, "check", status=1)
    asked(chain, "check", "--manifests-only")
    edit_a_param(chain)
    text = asked(chain, "check", "--manifests-only", status=1)
    assert "params.times: 2 → 3" in text


def test_check_where_the_sources_are_not(chain: Project) -> None:
    """Not even the recordings are there: the jobs are those that the manifests speak of."""
    shutil.rmtree(chain.root / "media")
    for path in [*chain.root.glob("jobs/*/?/*.txt")]:
        path.unlink()
    said = told(chain, "check", "--manifests-only")
    assert {task: entry["state"] for task, entry in said.items()} == dict.fromkeys(("A:one", "B:one", "C:one"), "fresh")
    asked(chain, "validate", "--manifests-only")
    asked(chain, "check", status=3)
    edit_a_param(chain)
    asked(chain, "check", "--manifests-only", status=1)
    (chain.root / "jobs/one/A/manifest.json").unlink()
    asked(chain, "check", "--manifests-only", status=1)


def test_validate(chain: Project) -> None:
    """Sound: exit 0. A changed digest, unsorted keys, a foreign manifest, an edited output: each named, exit 1."""
    assert "3 manifests: no problems" in asked(chain, "validate")
    manifest = chain.root / "jobs/one/B/manifest.json"
    good = manifest.read_text()

    def problem(text: str, *args: str) -> str:
        manifest.write_text(text)
        return asked(chain, "validate", *args, status=1)

    loose = json.loads(good)
    assert "sorted" in problem(json.dumps(dict(reversed(loose.items())), indent=2) + "\n")
    assert "timestamp" in problem(json.dumps({k: v for k, v in loose.items() if k != "timestamp"}))
    assert "params" in problem(json.dumps(loose | {"params": 3}))
    assert "inputs_checksum" in problem(good.replace(loose["inputs_checksum"], "sha256:" + "0" * 64))
    assert "jobs/one/B/manifest.json" in problem("garbage")
    assert "is the manifest of" in problem((chain.root / "jobs/one/A/manifest.json").read_text(), "--manifests-only")
    manifest.write_text(good)
    edit_an_output(chain)
    assert "outputs.b.txt changed" in asked(chain, "validate", status=1)
    asked(chain, "validate", "--manifests-only")


def test_validate_as_a_script(chain: Project) -> None:
    """`python -m mediabuild.commands.inspection FILE…`, for hooks: silent and 0 when sound, else each problem and 1."""
    files = sorted(str(path) for path in chain.root.glob("jobs/one/?/manifest.json"))

    def script() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mediabuild.commands.inspection", *files]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    sound = script()
    assert (sound.returncode, sound.stdout) == (0, "")
    Path(files[1]).write_text("{}")
    broken = script()
    assert broken.returncode == 1
    assert broken.stdout.startswith(files[1])
    assert "Traceback" not in broken.stderr


def test_manifests_fit_their_schema(chain: Project) -> None:
    """What a run writes validates against the committed schema: manifests and events."""
    schema = json.loads((CLONE / "docs/manifest.schema.json").read_text())
    for stage in "ABC":
        jsonschema.validate(json.loads(chain.read(f"jobs/one/{stage}/manifest.json")), schema)
    edit_the_source(chain)
    events = chain.run().events
    schema = json.loads((CLONE / "docs/events.schema.json").read_text())
    assert {e["event"] for e in events} >= {"run_started", "stage_cache_miss", "stage_completed", "run_finished"}
    for event in events:
        jsonschema.validate(event, schema)


def test_graph(project: Project) -> None:
    """DOT and Mermaid: a node for each stage, matrices collapsed with their values, an edge for each dependency."""
    project.write("pipeline.toml", CHAIN + MATRIX)
    project.write("media/one.txt", "hello\n")
    dot = asked(project, "graph")
    assert dot.startswith("digraph")
    assert dot.count("->") == 5
    assert '"B" -> "D"' in dot
    assert "language: de, es" in dot
    if shutil.which("dot"):
        assert subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=False).returncode == 0
    mermaid = asked(project, "graph", "--format=mermaid")
    assert mermaid.startswith("flowchart LR")
    assert "D --> all_of_them" in mermaid
    wrong = project.command("graph", "--format=png")
    assert (wrong.status, "neither dot nor mermaid" in wrong.err) == (3, True)


def test_fan_in_of_a_matrix(project: Project) -> None:
    """A stage that reads a matrix stage follows each of its values."""
    project.write("pipeline.toml", CHAIN + MATRIX)
    project.write("media/one.txt", "hello\n")
    assert project.run().status == 0
    (project.root / "jobs/one/D/es/d.txt").write_text("mine\n")
    found = states(project)
    assert (found["D:one:de"], found["D:one:es"], found["all-of-them:one"]) == ("fresh", "stale", "follows")


def test_questions_into_a_closed_pipe(chain: Project) -> None:
    """`mediabuild list | head -1` is no traceback."""
    for number in range(60):
        chain.write(f"media/{number:03}.txt", "x\n")
    command = f"'{sys.executable}' -m mediabuild.commands.main list --all | head -1"
    done = subprocess.run(["sh", "-c", command], cwd=chain.root, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_questions_wait_for_nobody(chain: Project) -> None:
    """While another run holds a task's lock, `status`, `explain`, `check` and `list -s` answer at once."""
    import fcntl

    edit_the_source(chain)
    with (chain.root / "jobs/one/.mediabuild/locks/A.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for args, status in ((("status",), 0), (("explain", "A:one"), 0), (("check",), 1), (("list", "-s"), 0)):
            asked(chain, *args, status=status)
        assert chain.run("--no-wait").status == 2
