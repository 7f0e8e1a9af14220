"""Python stages in their workers: each answer is its own job's, and nothing of one job reaches the next."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Project

STAGE = '''"""A stage of the project's own."""

import os
import sys
import time

from mediabuild.errors import StageError
from mediabuild.stage import Context, NoParams, stage


@stage(version=1, inputs={{"text": "a text"}}, outputs={outputs})
def own(ctx: Context, params: NoParams):
    text = ctx.input("text").read_text().strip()
{body}
'''
INSTALLED = [f"{sys.prefix}/bin/mediabuild"]  # `python -m` puts the working directory first itself
ONE = '{"text": "a.txt"}'
PARTS = '{"parts": "parts/*.txt"}'
PIPELINE = '[pipeline]\nsources = ["media/*.txt"]\n[stages.own]\ninputs = { text = "source" }\n'


def write(project: Project, body: str, jobs: str = "ab", outputs: str = ONE) -> None:
    """A project with one stage, whose function ends with `body`, and a recording for each letter of `jobs`."""
    lines = "\n".join("    " + line if line else "" for line in body.strip("\n").splitlines())
    project.write("stages/own.py", STAGE.format(body=lines, outputs=outputs))
    project.write("pipeline.toml", PIPELINE)
    for job in jobs:
        project.write(f"media/{job}.txt", f"{job}\n")


def output(project: Project, job: str) -> str:
    """What the stage wrote for a job."""
    return project.read(f"jobs/{job}/own/a.txt")


def failures(project: Project, *args: str) -> dict[str, str]:
    """Job → why it failed, of a run."""
    ran = project.run(*args)
    assert "Traceback" not in ran.err, ran.err
    return {e["task"].split(":")[1]: e["message"] for e in ran.events if e["event"] == "stage_failed"}


# ---- answers ----


def test_progress_takes_what_is_a_number(project: Project) -> None:
    """Texts of numbers are numbers; no message of one job is ever taken for another's answer."""
    body = """
if text == "a":
    ctx.progress("12.5", "40")
    time.sleep(0.7)
(ctx.out / "parts").mkdir()
for n in "12":
    (ctx.out / f"parts/{text}{n}.txt").write_text(text)
"""
    write(project, body, "abc", PARTS)
    ran = project.run("-n1")
    assert (ran.status, sorted(ran.tasks("stage_completed"))) == (0, ["own:a", "own:b", "own:c"])
    for job in "abc":
        assert len(list((project.root / f"jobs/{job}/own/parts").iterdir())) == 2
    assert [(e["done"], e["total"]) for e in ran.events if e["event"] == "stage_progress"] == [(12.5, 40.0)]


@pytest.mark.parametrize("given", ['"much", 3', "None, 3", "[1], 2", "1j, 2"])
def test_progress_refuses_what_is_none(project: Project, given: str) -> None:
    """The job fails with its own words, the others have their own answers."""
    write(project, f'if text == "a":\n    ctx.progress({given})\nctx.output("text").write_text(text)')
    failed = failures(project, "-n1")
    assert failed.keys() == {"a"}
    assert "is no number" in failed["a"]
    assert output(project, "b") == "b"


@pytest.mark.parametrize("way", ["returns", "raises", "exits"])
def test_a_forked_child_never_answers(project: Project, way: str) -> None:
    """A child of `os.fork` that leaves the stage's function, however: only its parent's word counts."""
    end = {"returns": "return None", "raises": "raise ValueError('child')", "exits": "sys.exit(3)"}[way]
    body = f"""
pid = os.fork()
if pid == 0:
    ctx.progress(1, 2)
    ctx.warn("from the child")
    {end}
os.waitpid(pid, 0)
time.sleep(0.1)
ctx.output("text").write_text(text)
"""
    write(project, body, "abc")
    ran = project.run("-n1")
    assert (ran.status, len(ran.tasks("stage_completed"))) == (0, 3), ran.out
    assert [output(project, job) for job in "abc"] == ["a", "b", "c"]
    assert ran.tasks("stage_warning") == []


def test_junk_in_the_reply_pipe(project: Project) -> None:
    """Bytes that are no reply fail the job that wrote them, and no other."""
    body = """
if text == "a":
    for number in range(3, 20):
        try:
            os.write(number, b'junk\\n{"kind":"done","number":1,"fields":[]}\\n')
        except OSError:
            pass
ctx.output("text").write_text(text)
"""
    write(project, body)
    failed = failures(project, "-n1")
    assert failed.keys() == {"a"}
    assert "wrote into its pipe" in failed["a"]
    assert output(project, "b") == "b"


@pytest.mark.parametrize(
    ("returned", "word"),
    [
        ("42", "returned 42"),
        ('"a.txt"', "returned 'a.txt'"),
        ('{"text": 5}', "5"),
        ('{"text": "b.txt"}', "did not write it"),
        ('{"text": ["../own.py"]}', "own.py"),
        ('{"text": "."}', "isn't in its output directory"),
    ],
)
def test_what_a_stage_may_not_return(project: Project, returned: str, word: str) -> None:
    """A wrong return value is the stage's mistake, said in one line."""
    write(project, f'ctx.output("text").write_text(text)\nreturn {returned}', "a")
    assert word in failures(project)["a"]


def test_what_a_stage_may_return(project: Project) -> None:
    """A name, a path, an absolute path, several in a list or a generator, a directory."""
    body = """
for name in ("1.txt", "2.txt", "3.txt"):
    (ctx.out / name).write_text(text)
(ctx.out / "more" / "deep").mkdir(parents=True)
(ctx.out / "more/deep/4.txt").write_text(text)
return {"one": "1.txt", "two": ctx.out / "2.txt", "rest": (n for n in ["./3.txt", "more"])}
"""
    write(project, body, "a", '{"one": "1.txt", "two": "2.txt", "rest": "*"}')
    assert project.run().status == 0
    recorded = json.loads(project.read("jobs/a/own/manifest.json"))["outputs"]
    assert {name: sorted(files) for name, files in recorded.items()} == {
        "one": ["1.txt"],
        "two": ["2.txt"],
        "rest": ["3.txt", "more/deep/4.txt"],
    }


@pytest.mark.parametrize("message", ['"x" * 10_000_000', '"\\ud800"', "42", "object"])
def test_any_message(project: Project, message: str) -> None:
    """What a stage says may be long, may be no text: it is said, cut where it is too long, and nothing breaks."""
    body = f"""
ctx.warn({message})
if text == "a":
    raise StageError({message})
ctx.output("text").write_text(text)
"""
    write(project, body)
    failed = failures(project, "-n1")
    assert failed.keys() == {"a"}
    assert len(failed["a"]) < 30_000
    assert output(project, "b") == "b"


def test_a_stage_that_fails_without_a_word(project: Project) -> None:
    """An empty message is no reason to fail otherwise."""
    write(project, 'if text == "a":\n    raise StageError("")\nctx.output("text").write_text(text)')
    assert failures(project).keys() == {"a"}
    assert output(project, "b") == "b"


def test_an_exception_that_can_not_be_shown(project: Project) -> None:
    """An exception whose text raises."""
    body = """
class Bad(Exception):
    def __str__(self):
        raise RuntimeError
if text == "a":
    raise Bad
ctx.output("text").write_text(text)
"""
    write(project, body)
    failed = failures(project, "-n1")
    assert failed.keys() == {"a"}
    assert "Bad" in failed["a"]
    assert output(project, "b") == "b"


# ---- what one job leaves in the process ----

LEFT = {
    "the working directory": ('os.chdir("/")', "os.getcwd()"),
    "the umask": ("os.umask(0o077)", "oct(os.umask(0o022))"),
    "the environment": (
        'os.environ["LEFT"] = "yes"; os.environ.pop("PATH")',
        'sorted(set(os.environ) & {"LEFT", "PATH"})',
    ),
    "the time zone": ('os.environ["TZ"] = "Asia/Tokyo"; time.tzset()', "time.tzname"),
    "a signal's handler": (
        "import signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN); signal.signal(signal.SIGTERM, print)",
        "(lambda s: [s.getsignal(s.SIGUSR1), s.getsignal(s.SIGTERM)])(__import__('signal'))",
    ),
    "a blocked signal": (
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])",
        "__import__('signal').pthread_sigmask(0, [])",
    ),
    "a timer": ("import signal; signal.alarm(3)", "__import__('signal').alarm(0)"),
    "the locale": (
        'import locale; locale.setlocale(locale.LC_ALL, "C.UTF-8"); locale.setlocale(locale.LC_NUMERIC, "C")',
        "__import__('locale').setlocale(6)",
    ),
    "where modules are": ('sys.path.insert(0, "/nowhere")', "sys.path"),
    "the arguments": ('sys.argv.append("x")', "sys.argv[-1]"),
    "stdout": ('sys.stdout = open(os.devnull, "w")', "sys.stdout is sys.__stdout__"),
    "a closed stdout": ("sys.stdout.close()", 'print("said") or sys.stdout.closed'),
    "a limit": (
        "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (64, r.getrlimit(r.RLIMIT_NOFILE)[1]))",
        "__import__('resource').getrlimit(7)",
    ),
    "the recursion limit": ("sys.setrecursionlimit(500)", "sys.getrecursionlimit()"),
    "warnings": ('import warnings; warnings.simplefilter("error")', "__import__('warnings').filters[0][0]"),
    "decimals": ("import decimal; decimal.getcontext().prec = 3", "__import__('decimal').getcontext().prec"),
    "a global of its own": ("SEEN.append(text)", "SEEN"),
}


def test_what_a_job_leaves_does_not_reach_the_next(project: Project) -> None:
    """The second job of a worker finds what the first one found."""
    found = "\n".join(f"found[{what!r}] = repr({asked})" for what, (_, asked) in LEFT.items())
    left = "\n".join(left for left, _ in LEFT.values())
    body = f'found = {{"": os.getpid()}}\n{found}\n{left}\nctx.output("text").write_text(json.dumps(found, indent=1))'
    write(project, body)
    source = project.read("stages/own.py").replace("import sys\n", "import json\nimport sys\n\nSEEN = []\n", 1)
    project.write("stages/own.py", source)
    assert project.run("-n1").status == 0
    assert output(project, "a") == output(project, "b")


def test_what_can_not_be_undone_ends_the_worker(project: Project) -> None:
    """A priority can only be lowered: the next job gets another process."""
    write(project, 'found = os.nice(0)\nos.nice(3)\nctx.output("text").write_text(str(found))')
    assert project.run("-n1").status == 0
    assert output(project, "a") == output(project, "b")


def test_a_library_that_one_stage_changed_is_as_it_was_for_another(project: Project) -> None:
    """Two stages of the project have a worker each."""
    write(project, 'import json\njson.dumps = None\nctx.output("text").write_text(text)', "a")
    other = project.read("stages/own.py").replace("def own", "def other").replace("json.dumps = None", "json.dumps(1)")
    project.write("stages/other.py", other)
    project.write("pipeline.toml", PIPELINE + '[stages.other]\ninputs = { text = "own.text" }\n')
    assert project.run("-n1").status == 0


@pytest.mark.parametrize("kind", ["a thread", "a daemon thread", "a child"])
def test_what_still_works_for_one_job_ends_before_the_next(project: Project, kind: str) -> None:
    """A thread or a child that a stage left behind writes nothing into what is recorded."""
    target = """
def late():
    while not os.path.exists("ended"):
        time.sleep(0.01)
    (ctx.out / "a.txt").write_text("late")
"""
    started = {
        "a thread": target + "import threading; threading.Thread(target=late).start()",
        "a daemon thread": target + "import threading; threading.Thread(target=late, daemon=True).start()",
        "a child": (
            "import subprocess; script = 'while [ ! -e ended ]; do sleep 0.01; done; echo late >&3'\n"
            "subprocess.Popen(['sh', '-c', f'exec 3>>{ctx.out}/a.txt; {script}'])"
        ),
    }[kind]
    write(project, f'ctx.output("text").write_text(text)\n{started}', "abc")
    assert project.run("-n1").status == 0
    project.write("ended", "")
    time.sleep(0.3)  # whoever were left would write now
    assert [output(project, job) for job in "abc"] == ["a", "b", "c"]
    assert project.run().ran == []


def test_a_worker_with_nothing_left_is_used_again(project: Project) -> None:
    """Jobs share a worker, and the model that one of them loaded."""
    write(
        project, 'model = ctx.model("m", lambda: os.getpid())\nctx.output("text").write_text(f"{model} {os.getpid()}")'
    )
    assert project.run("-n1").status == 0
    assert output(project, "a") == output(project, "b")
    assert len(set(output(project, "a").split())) == 1


# ---- what lies in the project's folder ----


@pytest.mark.parametrize("name", ["queue.py", "json.py", "runpy.py", "msgspec.py", "importlib/__init__.py"])
def test_a_projects_module_is_not_pythons(project: Project, name: str) -> None:
    """Whatever lies beside `pipeline.toml`, Python's own modules are Python's."""
    write(project, 'import json\nctx.output("text").write_text(json.dumps(text))', "a")
    project.write(name, 'raise RuntimeError("the project\'s")\n')
    project.program = INSTALLED
    assert project.run().status == 0
    assert output(project, "a") == '"a"'


def test_a_projects_json_does_not_answer_for_devices(project: Project) -> None:
    """The probe of devices runs no module of the project."""
    write(project, 'ctx.output("text").write_text(ctx.device)', "a")
    source = project.read("stages/own.py").replace("outputs=", 'devices=("cuda",), outputs=')
    project.write("stages/own.py", source)
    project.write("torch.py", "open('ran', 'w')\n")
    project.write("json.py", "open('ran', 'w')\n")
    project.env["MEDIABUILD_DRIVER"] = "any"
    project.program = INSTALLED
    project.command("check")
    assert not (project.root / "ran").exists()


def test_workers_end_with_the_run(project: Project) -> None:
    """Also those that were not idle when they were ended: no process is left."""
    write(project, 'import threading; threading.Thread(target=time.sleep, args=(60,)).start()\n'
                   'ctx.output("text").write_text(str(os.getpid()))')  # fmt: skip
    assert project.run("-n1").status == 0
    for job in "ab":
        with pytest.raises(ProcessLookupError):
            os.kill(int(output(project, job)), signal.SIGCONT)
    assert Path(project.root / "jobs/a/.mediabuild/logs/own.log").read_text().startswith("this worker ends: a thread")
