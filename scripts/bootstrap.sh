#!/usr/bin/env bash
# From a fresh clone to a built sample, or to all checks. Needs Python 3.11 or newer, nothing else.
# Kept to what bash 3.2 knows, which is what macOS has.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root"

# One release, not a range: an index of CPU builds may end at an earlier one than the CUDA builds do.
# The same one as in mediabuild/install.py.
TORCH="torch==2.13.0"

usage() {
  cat <<'HELP'
usage: scripts/bootstrap.sh run               install what is missing, build the sample, list what was made
       scripts/bootstrap.sh test              install what is missing, run all checks
       scripts/bootstrap.sh tool NAME …       run one tool of the checks, as the hooks of pre-commit do
       scripts/bootstrap.sh separator [DIR]   a venv for the separate stage alone (venv/demucs, in the project)

One venv/ holds everything: one torch and one numpy, 1.7 GB. A stage may still have an interpreter
of its own: make it with `separator`, and write  python = "venv/demucs"  into [stages.separate] of
pipeline.toml.

A second call is quick: pip is started only when pyproject.toml or Python changed. Interrupt it
whenever you like, and call it again. On Debian and Ubuntu, apertium (translation), espeak-ng (word
times of names and other languages), a font (burnt-in subtitles) and python3-venv come from apt, through sudo where
needed.

PYTHON                 the Python to use; otherwise python3, or one of 3.11 to 3.13 where that is another
PIP_INDEX_URL, …       pip's own settings are honoured. On x86_64 Linux the default index carries
                       torch with several GB of CUDA. Without an NVIDIA GPU, let
                       PIP_EXTRA_INDEX_URL name an index of CPU builds (pytorch.org says which).
HELP
}

say() { printf '%s\n' "bootstrap: $*" >&2; }

fail() {
  say "$1"
  say "  hint: $2"
  exit 1
}

# apt_install PACKAGE…: true when all are there in the end. Asks for no password where nobody is at a terminal.
apt_install() {
  local package missing="" as_root=""
  command -v apt-get >/dev/null || return 1
  for package in "$@"; do
    dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null | grep "ok installed" >/dev/null || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || return 1
    as_root="sudo"
    [ -t 0 ] || as_root="sudo -n"
  fi
  say "apt-get install$missing"
  # shellcheck disable=SC2086  # a command with its flag, and a list of packages: meant to be split
  {
    $as_root apt-get -qq update || say "apt-get update failed; going on with the lists that are there"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 \
      install -y --no-install-recommends $missing
  } >&2
}

# What pip doesn't have. Only translation, some word times and burnt-in subtitles need it, so nothing here is fatal.
install_programs() {
  apt_install apertium apertium-eng-spa || can_translate || say "apertium-eng-spa can't be installed here (no apt, or no root): no translation"
  apt_install espeak-ng || command -v espeak-ng >/dev/null || say "espeak-ng can't be installed here (no apt, or no root): names are spelt, other languages get no word times"
  apt_install fonts-dejavu-core || [ "$(uname)" = Darwin ] || say "fonts-dejavu-core can't be installed here: burnt-in subtitles need a font"
}

can_translate() { command -v apertium >/dev/null && apertium -l 2>/dev/null | grep eng-spa >/dev/null; }

# find_python: first one for which all packages have wheels and which can make a venv, then any that is new enough.
find_python() {
  local candidate wanted
  local wheels='(3, 11) <= sys.version_info < (3, 14) and importlib.util.find_spec("ensurepip")'
  for wanted in "$wheels" 'sys.version_info >= (3, 11)'; do
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
      if "$candidate" -c "import importlib.util, sys; sys.exit(not ($wanted))" 2>/dev/null; then
        command -v "$candidate"
        return
      fi
      [ -z "${PYTHON:-}" ] || break
    done
  done
  [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON: no Python 3.11 or newer" "unset PYTHON"
  fail "no Python 3.11 or newer" "apt-get install python3 python3-venv   (macOS: brew install python@3.13)"
}

# need_venv_module PYTHON: what makes venvs, which Debian splits off.
need_venv_module() {
  local package
  "$1" -c 'import ensurepip' 2>/dev/null && return
  package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  apt_install "$package" || fail "$1 can't make a venv" "apt-get install $package   (as root)"
}

# make_venv DIR: a working venv there. `activate` is the last file that venv writes, and names the
# folder: a venv that was interrupted, copied or moved is made anew.
make_venv() {
  local venv=$1 python clear=""
  if "$venv/bin/python" -c '' 2>/dev/null && grep -qsF -- "$venv" "$venv/bin/activate"; then
    return
  fi
  python=$(find_python)
  need_venv_module "$python"
  say "making $venv with $("$python" --version)"
  [ ! -e "$venv/pyvenv.cfg" ] || clear="--clear"
  "$python" -m venv ${clear:+"$clear"} "$venv"
}

# facts VENV EXTRAS: a digest of all that decides what pip would install.
facts() {
  "$1/bin/python" - "$1" "$TORCH" "$2" <<'PYTHON'
import hashlib, pathlib, sys, tomllib
table = tomllib.loads(pathlib.Path("pyproject.toml").read_text(encoding="utf-8"))
print(hashlib.sha256(repr((table["project"], table["build-system"], sys.version, sys.argv[1:])).encode()).hexdigest())
PYTHON
}

# install_project VENV EXTRAS: the stamp is written last; where it still holds, pip isn't started.
install_project() {
  local venv=$1 extras=$2 stamp wanted log
  make_venv "$venv"
  stamp="$venv/.installed-$extras" log="$venv/install.log"
  wanted=$(facts "$venv" "$extras")
  [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
  say "installing into $venv, 1.7 GB and a few minutes the first time; to watch: tail -f '$log'"
  if ! "$venv/bin/python" -m pip install "$TORCH" --editable ".[$extras]" </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "pip could not install the packages" "less '$log'"
  fi
  printf '%s\n' "$wanted" >"$stamp"
}

run() {
  local status=0 folder
  install_programs
  install_project "$root/venv" media,separate
  if can_translate; then
    venv/bin/doit || status=$?
  else
    say "building without the Spanish subtitles: doit translate.language="
    venv/bin/doit translate.language= || status=$?
  fi
  printf '\nMade, in out/ (to look at) and jobs/ (what each stage keeps):\n'
  for folder in out jobs; do
    [ ! -d "$folder" ] || find "$folder" -type f ! -path '*/.*' | sort | sed -n '1,60s/^/  /p'
  done
  cat <<'LOOK'

Play out/sample.mp4 in a player that shows subtitle tracks (mpv, VLC); jobs/sample/separate/vocals.wav
is the voice alone. Then change a translation in glossary/terms.csv, and:
  venv/bin/doit           runs only what depends on it; again, and nothing runs
  venv/bin/doit status    what is fresh, what is stale, and why
LOOK
  return "$status"
}

# check COMMAND…: one check to its end; the others run whatever it says.
failed=""
check() {
  printf '\n== %s\n' "$*"
  "$@" </dev/null || failed="$failed $1"
}

run_checks() {
  export PATH="$root/venv/bin:$PATH"
  check ruff check .
  check ruff format --check .
  check mypy
  check lint-imports
  check shellcheck scripts/bootstrap.sh scripts/quickstart.sh .ci/run
  check taplo fmt --check
  check zizmor --offline .
  check doit validate
  check pytest -n auto --dist worksteal
  [ -z "$failed" ] || fail "failed:$failed" "scripts/bootstrap.sh test"
  printf '\nall checks hold\n'
}

# tool NAME …: one of the checks' tools from the venv; `run` alone didn't install them.
tool() {
  local name=${1:-}
  [ -n "$name" ] || fail "which tool?" "scripts/bootstrap.sh tool ruff check"
  [ -x "venv/bin/$name" ] || install_project "$root/venv" media,separate,dev
  [ -x "venv/bin/$name" ] || fail "$name is no tool of the checks" "ls venv/bin"
  shift
  exec "venv/bin/$name" "$@"
}

case "${1:-}" in
  run) run ;;
  tool)
    shift
    tool "$@"
    ;;
  test)
    install_programs
    install_project "$root/venv" media,separate,dev
    run_checks
    ;;
  separator)
    python=$(find_python)
    need_venv_module "$python"
    PYTHONPATH="$root" "$python" -m mediabuild.machine.install separator "${2:-venv/demucs}"
    ;;
  -h | --help) usage ;;
  *)
    usage >&2
    exit 3 # a wrong command, as for doit
    ;;
esac
