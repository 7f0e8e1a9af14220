"""The same graph for every tool: each job is a text file that eight stages copy, one after the other.

Not here: building it and asking (`shelf`).
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
STAGES = 8


def steps(jobs: int) -> list[tuple[str, str]]:
    """(from, to) of every copy, job by job."""
    places = ["media", *(f"out/s{number}" for number in range(STAGES))]
    return [
        (f"{places[k]}/r{job:05}.txt", f"{places[k + 1]}/r{job:05}.txt") for job in range(jobs) for k in range(STAGES)
    ]


def pipeline_toml() -> str:
    """The same graph for mediabuild."""
    tables = ['[pipeline]\nsources = ["media/*.txt"]\n']
    for number in range(STAGES):
        source = f"s{number - 1}.copy" if number else "source"
        tables.append(
            f'[stages.s{number}]\ncommand = ["cp", "{{inputs.text}}", "{{outputs.copy}}"]\n'
            f'inputs = {{ text = "{source}" }}\noutputs = {{ copy = "copy.txt" }}\n'
        )
    return "\n".join(tables)


def doit_table() -> str:
    """The `[tool.doit]` of the project, so that `doit` finds the pipeline."""
    text = (ROOT / "pyproject.toml").read_text()
    assert tomllib.loads(text)["tool"]["doit"]["loader"] == "mediabuild"
    return "[tool.doit" + text.partition("[tool.doit")[2].partition("\n[tool.ruff")[0]


def dodo(jobs: int) -> str:
    """The same graph for doit alone, with its md5 checker."""
    return (
        f"STEPS = {steps(jobs)!r}\n\n"
        "def task_copy():\n"
        "    for one, other in STEPS:\n"
        "        yield {'name': other, 'actions': [['cp', one, other]], 'file_dep': [one], 'targets': [other]}\n"
    )


def snakefile(jobs: int) -> str:
    """The same graph for Snakemake."""
    rules = [f'rule all:\n    input: expand("out/s{STAGES - 1}/r{{n}}.txt", n=[f"{{i:05}}" for i in range({jobs})])\n']
    for number in range(STAGES):
        source = f"out/s{number - 1}" if number else "media"
        rules.append(
            f"rule s{number}:\n    input: '{source}/r{{n}}.txt'\n    output: 'out/s{number}/r{{n}}.txt'\n"
            "    shell: 'cp {input} {output}'\n"
        )
    return "\n".join(rules)


def dvc_yaml(jobs: int) -> str:
    """The same graph for DVC, as JSON, which is YAML."""
    stages = {
        other.replace("/", "-").removesuffix(".txt"): {"cmd": f"cp {one} {other}", "deps": [one], "outs": [other]}
        for one, other in steps(jobs)
    }
    return json.dumps({"stages": stages})


def files_of(tool: str, jobs: int) -> dict[str, str]:
    """The tool's own files."""
    copies = steps(jobs)
    last = [other for one, other in copies if other.startswith(f"out/s{STAGES - 1}/")]
    if tool == "make":
        rules = "".join(f"{other}: {one}\n\tcp $< $@\n" for one, other in copies)
        return {"Makefile": f"all: {' '.join(last)}\n{rules}"}
    if tool == "ninja":
        return {"build.ninja": "rule cp\n command = cp $in $out\n" + "".join(f"build {b}: cp {a}\n" for a, b in copies)}
    if tool == "doit alone":
        return {"dodo.py": dodo(jobs)}
    if tool == "Snakemake":
        return {"Snakefile": snakefile(jobs)}
    if tool == "DVC":
        return {"dvc.yaml": dvc_yaml(jobs)}
    return {"pipeline.toml": pipeline_toml(), "pyproject.toml": doit_table()}


def write(home: Path, files: dict[str, str]) -> None:
    """Write a tool's own files, and make the folder of the sources."""
    (home / "media").mkdir(parents=True)
    for name, content in files.items():
        (home / name).write_text(content)


def write_copies(home: Path, jobs: int, files: dict[str, str]) -> None:
    """The sources, the same copies as a script, and a tool's own files."""
    write(home, {"copy.sh": "".join(f"cp {one} {other}\n" for one, other in steps(jobs)), **files})
    for number in range(STAGES):
        (home / f"out/s{number}").mkdir(parents=True)
    for job in range(jobs):
        (home / f"media/r{job:05}.txt").write_text(f"recording {job}\n" * 10)
