"""Record which code each built-in stage's declared version stands for, in tests/stages/versions.json.

A stage in the wheel is judged by its declared version, so a change that gives other outputs must
raise it. A test compares the recorded digests with the code and fails when code changed and the
version didn't. After raising a version, run this; after a change that gives the same outputs
(a comment, a rename), run it with `--same-outputs`.

    python scripts/record_stage_versions.py [--same-outputs]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mediabuild.machine.hashing import hash_bytes
from mediabuild.pipeline.code_of_stages.files import stage_code
from mediabuild.pipeline.code_of_stages.loading import builtin_stages_dir, load_stage

RECORD = Path(__file__).parents[1] / "tests/stages/versions.json"


def code_digest(file: Path) -> str:
    """The digest of a stage's file and of the modules of mediabuild that it uses, and these use."""
    used = stage_code(file, file.parents[1])
    files = [file, *(used[name] for name in sorted(used))]
    return hash_bytes("".join(hash_bytes(f.read_bytes(), "blake3") for f in files).encode(), "blake3")


def present() -> dict[str, dict[str, str | int]]:
    """Stage → its declared version and the digest of its code, now."""
    stages = {file.stem: (file, load_stage(file)) for file in sorted(builtin_stages_dir().glob("*.py"))}
    return {name: {"version": s.version, "code": code_digest(file)} for name, (file, s) in stages.items()}


def unraised(recorded: dict[str, dict[str, str | int]]) -> list[str]:
    """The stages whose code changed since their version was recorded."""
    return [
        name
        for name, now in present().items()
        if name in recorded and now["code"] != recorded[name]["code"] and now["version"] == recorded[name]["version"]
    ]


def main() -> int:
    """Write the record, unless a version should have been raised."""
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    changed = unraised(recorded)
    if changed and "--same-outputs" not in sys.argv:
        print(f"{', '.join(changed)}: the code changed and the version did not")
        print("  hint: raise version=… in the stage's file, or --same-outputs if its outputs stay the same")
        return 1
    RECORD.write_text(json.dumps(present(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
