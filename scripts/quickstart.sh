#!/usr/bin/env bash
# Shows what mediabuild is for, and proves it: three builds of the sample, and no heavy stage runs twice.
# Kept to what bash 3.2 knows, which is what macOS has.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

usage() {
  cat <<'HELP'
usage: scripts/quickstart.sh [--device DEVICE] [--project DIR] [STEP …] [-- NAME=VALUE …]

Builds media/sample.mp4 three times, in a job directory of its own for each device (jobs/sample-cpu),
and reads from the events what ran:

  baseline   a full run: every stage runs once, or is up to date already
  limited    the stages from glossary to subtitles only, with shorter subtitle lines
  final      a full run again: everything that the glossary doesn't touch is a cache hit
  check      reads the events of all three; exit 1 if a heavy stage (separate, transcribe) ran twice

Without a STEP all four, in this order. The first run needs what `scripts/bootstrap.sh run` installs.

--device DEVICE   auto, cpu, cuda, mps; otherwise the one that `doit doctor` finds
NAME=VALUE        overrides for every run: `-- translate.language=` where there is no apertium
--project DIR     another copy of the project; otherwise the one that this script is in
PYTHON_BIN        the Python that mediabuild is installed for; otherwise venv/bin/python
HELP
}

say() { printf 'quickstart: %s\n' "$*"; }

fail() {
  printf 'quickstart: %s\n  hint: %s\n' "$1" "$2" >&2
  exit "${3:-1}"
}

# doit with this project's pipeline, whatever a dodo.py or a [tool.doit] nearby says.
build() { "$python" -m mediabuild.commands.main "$@"; }

# found_device: what `auto` stands for on this machine. The doctor exits 1 where something is missing: its list is the reason.
found_device() {
  build doctor --json | "$python" -c 'import json, sys; print(json.load(sys.stdin)["device"])' || true
}

# step NAME ARGUMENT…: one build; its events go to the job directory's neighbour.
step() {
  local name=$1
  shift
  printf '\n== %s\n' "$name"
  build --device "$device" --source media/sample.mp4 --job-dir "$job" --events "$events.$name.jsonl" \
    "$@" ${overrides[@]+"${overrides[@]}"} ||
    fail "the $name run failed (exit $?)" "cd '$PWD' && '$python' -m mediabuild.commands.main doctor"
}

# The limited run changes a param for this run only; the final one takes it back, so that both have work to do.
baseline() { step baseline; }
limited() { step limited --from glossary --to subtitles --force subtitles.max_line_chars=36; }
final() { step final; }

# check: what the events of the three runs say. Only they count, never the console.
check() {
  printf '\n== check\n'
  "$python" - "$events" <<'PYTHON'
import collections, json, pathlib, sys

HEAVY = ("separate", "transcribe")
MAY_RUN_AGAIN = ("subtitles",)  # the override is gone; what it makes is as before, so mux has nothing to do
LIMITED = ("glossary", "translate", "subtitles")


def tasks(name, kind):
    path = pathlib.Path(f"{sys.argv[1]}.{name}.jsonl")
    if not path.exists():
        sys.exit(f"quickstart: no events of the {name} run\n  hint: scripts/quickstart.sh {name}")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    if not any(line["event"] == "run_finished" and line["status"] == 0 for line in lines):
        sys.exit(f"quickstart: the {name} run did not finish\n  hint: less {path}")
    return [line["task"] for line in lines if line["event"] == kind]


ran = {name: tasks(name, "stage_running") for name in ("baseline", "limited", "final")}
hits = {name: tasks(name, "stage_skipped") for name in ran}
for name in ran:
    print(f"{name:<9} ran {len(ran[name])}, up to date {len(hits[name])}: {' '.join(ran[name]) or '-'}")

wrong = []
counts = collections.Counter(task for run in ran.values() for task in run)
stage = lambda task: task.partition(":")[0]
wrong += [f"{task} ran {count} times" for task, count in counts.items() if stage(task) in HEAVY and count > 1]
wrong += [f"{task} ran in the limited run" for task in ran["limited"] if stage(task) not in LIMITED]
wrong += [f"{task} ran again in the final run" for task in ran["final"] if stage(task) not in MAY_RUN_AGAIN]
wrong += [f"{name} is no cache hit in the final run" for name in HEAVY if name not in map(stage, hits["final"])]
wrong += [f"{name} did not run in the limited run" for name in LIMITED[::2] if name not in map(stage, ran["limited"])]
for line in dict.fromkeys(wrong):
    print(f"WRONG: {line}", file=sys.stderr)
print("a heavy stage ran twice, or something else did not hold" if wrong else "no heavy stage ran twice")
sys.exit(1 if wrong else 0)
PYTHON
}

device="" steps="" overrides=()
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --device | --project)
      [ $# -gt 1 ] || fail "$1 needs a value" "scripts/quickstart.sh --help" 3
      if [ "$1" = --device ]; then device=$2; else root=$(cd "$2" && pwd -P); fi
      shift
      ;;
    baseline | limited | final | check) steps="$steps $1" ;;
    --)
      shift
      overrides=("$@")
      break
      ;;
    *) fail "what is $1?" "scripts/quickstart.sh --help" 3 ;;
  esac
  shift
done

cd "$root"
python=${PYTHON_BIN:-$root/venv/bin/python}
"$python" -c 'import mediabuild.commands.main' 2>/dev/null || fail "$python has no mediabuild" "scripts/bootstrap.sh run" 3
[ -n "$device" ] && [ "$device" != auto ] || device=$(found_device)
[ -n "$device" ] || fail "no device found" "'$python' -m mediabuild.commands.main doctor"
job="jobs/sample-$device"
events="$job/.mediabuild/quickstart"
mkdir -p "$job/.mediabuild"
say "on $device, in $job"
for name in ${steps:-baseline limited final check}; do "$name"; done
