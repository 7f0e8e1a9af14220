"""check, explain and --dry-run name the very reasons for which the next run builds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest

from tests.e2e.conftest import CHAIN, Project
from tests.e2e.test_asking import (
    add_a_source,
    asked,
    edit_a_param,
    edit_an_output,
    edit_the_source,
    states,
    told,
)


def edit_the_command(project: Project) -> None:
    project.write("pipeline.toml", CHAIN.replace('rev "$1"', 'rev < "$1"'))


def delete_an_output(project: Project) -> None:
    (project.root / "jobs/one/A/a.txt").unlink()


def delete_a_manifest(project: Project) -> None:
    (project.root / "jobs/one/C/manifest.json").unlink()


def delete_everything(project: Project) -> None:
    shutil.rmtree(project.root / "jobs")


def forget(project: Project) -> None:
    project.command("forget", "B:one")


def ignore(project: Project) -> None:
    project.write("media/one.txt", "changed\n")
    project.command("ignore", "B:one")


def touch_everything(project: Project) -> None:
    for path in project.root.rglob("*.txt"):
        path.touch()


def reformat_the_pipeline(project: Project) -> None:
    project.write("pipeline.toml", "# a comment\n" + CHAIN)


def adopt(project: Project) -> None:
    project.write("jobs/one/B/b.txt", "mine\n")
    project.command("reset-dep", "B:one")


def delete_a_delivery(project: Project) -> None:
    project.write("pipeline.toml", CHAIN + 'deliver = "out/{job}"\n')


def nothing(project: Project) -> None:
    pass


STATES = [
    nothing, touch_everything, reformat_the_pipeline, edit_the_source, edit_a_param, edit_the_command, edit_an_output,
    delete_an_output, delete_a_manifest, delete_everything, add_a_source, forget, ignore, adopt, delete_a_delivery,
]  # fmt: skip


@pytest.mark.parametrize("change", STATES, ids=lambda change: change.__name__)
def test_check_says_what_a_run_does(chain: Project, change: Callable[[Project], None]) -> None:
    """`check` exits 1 exactly when a run would do something.

    What it calls stale runs; what runs is stale or "would follow"; `--dry-run`, `status` and `check` agree.
    """
    change(chain)
    check = chain.command("check", "--json")
    said = {entry["task"]: entry["state"] for entry in json.loads(check.out)}
    assert states(chain) == said
    plan = asked(chain, "run", "--dry-run")
    planned = {line.split()[1] for line in plan.splitlines() if line.startswith(("RUN", "FOLLOW"))}
    assert planned == {task for task, state in said.items() if state not in ("fresh", "ignored")}
    run = chain.run()
    assert run.status == 0
    done = {*run.ran, *run.tasks("stage_delivered")}
    stale = {task for task, state in said.items() if state == "stale"}
    assert stale <= done <= stale | {task for task, state in said.items() if state == "follows"}
    assert check.status == (1 if done else 0)
    assert chain.command("check").status == 0


def test_what_follows_is_not_called_stale(chain: Project) -> None:
    """Below something stale, early cutoff may spare a stage: it "would follow"; its own reason makes it stale."""
    edit_the_source(chain)
    assert states(chain) == {"A:one": "stale", "B:one": "follows", "C:one": "follows"}
    edit_the_command(chain)
    assert states(chain) == {"A:one": "stale", "B:one": "follows", "C:one": "stale"}
    text = asked(chain, "check", status=1)
    assert [line.split()[:2] for line in text.splitlines()[:3]] == [
        ["RUN", "A:one"],
        ["FOLLOW", "B:one"],
        ["RUN", "C:one"],
    ]


def test_explain_names_every_reason(chain: Project) -> None:
    """Field by field, was → now; a fresh task says so; a stage's name explains all its tasks."""
    assert asked(chain, "explain", "B:one") == "B:one: up to date\n"
    chain.write(
        "pipeline.toml", CHAIN.replace("{ times = 2 }", '{ times = 3, note = "new" }').replace("b.txt", "bb.txt")
    )
    chain.write("jobs/one/B/b.txt", "mine\n")
    text = asked(chain, "explain", "B:one")
    assert "params.times: 2 → 3" in text
    assert 'params.note: "new" (added)' in text
    assert "stage.outputs" in text
    edit_the_source(chain)
    text = asked(chain, "explain", "A")
    assert "inputs.media: media/one.txt changed" in text
    entry = told(chain, "explain", "A:one")["A:one"]
    assert entry["state"] == "stale"
    (reason,) = entry["reasons"]
    assert (reason["kind"], reason["name"]) == ("inputs", "media: media/one.txt")
    assert reason["was"].startswith("blake3:")
    assert reason["was"] != reason["now"]


EXPLAINED: dict[str, tuple[Callable[[Project], None], str, str]] = {
    "source": (edit_the_source, "A:one", "inputs.media: media/one.txt"),
    "param": (edit_a_param, "B:one", "params.times: 2 → 3"),
    "command": (edit_the_command, "C:one", "stage.command"),
    "edited": (edit_an_output, "B:one", "outputs.b.txt changed"),
    "missing": (delete_an_output, "A:one", "outputs.a.txt missing"),
    "no manifest": (delete_a_manifest, "C:one", "not built yet"),
    "forgotten": (forget, "B:one", "forced: forgotten with doit forget"),
    "not delivered": (delete_a_delivery, "C:one", "outputs.out/one.txt not delivered"),
}


@pytest.mark.parametrize("kind", EXPLAINED)
def test_explain_and_run_give_the_same_reason(chain: Project, kind: str) -> None:
    """For every kind of change the field or file is named, by `explain` before and by the run's own line."""
    change, task, reason = EXPLAINED[kind]
    change(chain)
    assert reason in asked(chain, "explain", task)
    assert reason in chain.run().out


def test_explain_wants_a_task(chain: Project) -> None:
    """Without one it says how to find one."""
    done = chain.command("explain")
    assert (done.status, "list --all" in done.err) == (3, True)
