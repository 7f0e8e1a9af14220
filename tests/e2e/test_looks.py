"""How often a task is looked at: each look costs a stat of everything that it depends on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import Project

COUNTED = """
import collections, json, sys
from mediabuild.commands.main import main
from mediabuild.freshness.observation import Observer

looks, observe = collections.Counter(), Observer.observe

def counting(self, task, like=None):
    looks[task.name] += 1
    return observe(self, task, like)

Observer.observe = counting
status = main()
print("LOOKS " + json.dumps(looks), file=sys.stderr)
sys.exit(status)
"""
STAGE = '''
from mediabuild.stage import Context, NoParams, stage

@stage(version=1, inputs={"text": "a text"}, outputs={"text": "d.txt"})
def D(ctx: Context, params: NoParams) -> None:
    """Copy a text."""
    ctx.output("text").write_bytes(ctx.input("text").read_bytes())
'''


def looks(root: Path, *arguments: str) -> dict[str, int]:
    """Task → how often it was observed in a run."""
    command = [sys.executable, "-c", COUNTED, *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stderr.splitlines() if line.startswith("LOOKS "))
    return dict(json.loads(line.removeprefix("LOOKS ")))


def test_a_build_looks_at_most_three_times(chain: Project) -> None:
    """Before, after, and for the index: a command and a Python stage, the first time and after a change."""
    chain.write("stages/D.py", STAGE)
    chain.write("pipeline.toml", chain.read("pipeline.toml") + '\n[stages.D]\ninputs = { text = "C.text" }\n')
    first = looks(chain.root)
    assert {name.partition(":")[0] for name in first} == set("ABCD")
    assert max(first.values()) <= 3, first
    chain.write("media/one.txt", "another text\n")
    assert max(looks(chain.root).values()) <= 3
