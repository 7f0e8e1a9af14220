"""Random graphs of small stages: what each is in `pipeline.toml`, and how hypothesis draws them.

Not here: what their programs write (`oracle`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

ALL = (
    'show() { if [ -d "$1" ]; then for x in "$1"/*; do if [ -e "$x" ]; then show "$x"; fi; done; else cat "$1"; fi; }\n'
    'all() { for f in "$@"; do show "$f"; done; }\n'
    'repeat() { n=$1; shift; i=0; while [ "$i" -lt "$n" ]; do all "$@"; i=$((i+1)); done; }\n'
    'hook() { if [ -n "${HOOK-}" ]; then sh "$HOOK" "$@"; fi; }\n'
    'hook before "$@"\n'
)
THEN = '\ns=$?; hook after "$o"; exit "$s"'
SCRIPTS = {  # $1 … are: the output, times, word, value, the inputs
    "join": 'o=$1 n=$2 w=$3 v=$4; shift 4; { repeat "$n" "$@"; printf "%s\\n" "$w$v"; } > "$o"',
    "head": 'o=$1 n=$2; shift 4; all "$@" | head -c "$n" > "$o"',
    "count": 'o=$1; shift 4; all "$@" | wc -c > "$o"',
    "slow": 'o=$1 n=$2 w=$3 v=$4; shift 4; echo part > "$o"; sleep 0.03; '
    '{ repeat "$n" "$@"; printf "%s\\n" "$w$v"; } > "$o"',
    "exec": 'o=$1 n=$2 w=$3 v=$4; shift 4; { repeat "$n" "$@"; printf "%s\\n" "$w$v"; } > "$o"; chmod +x "$o"',
    "tools": 'o=$1 n=$2 w=$3 v=$4; shift 4; mkdir -p "$o/d"; { repeat "$n" "$@"; printf "%s\\n" "$w$v"; } > "$o/part"; '
    'cp "$o/part" "$o/run"; chmod +x "$o/run"; ln -s part "$o/link"; ln -s ../run "$o/d/up"',
    "split": 'o=$1 n=$2 w=$3 v=$4; shift 4; mkdir "$o"; i=0; while [ "$i" -lt "$n" ]; do mkdir "$o/d$i"; '
    '{ all "$@"; printf "%s\\n" "$i$w$v"; } > "$o/d$i/part"; i=$((i+1)); done',
    "pair": 'o=$1 n=$2 w=$3 v=$4; shift 4; { repeat "$n" "$@"; printf "%s\\n" "$w$v"; } > "$o"; '
    'all "$@" | wc -c > "${o%out.txt}sub/size"',
    "many": 'o=$1 n=$2 w=$3 v=$4; shift 4; all "$@" | wc -c > "$o"; i=0; while [ "$i" -lt "$n" ]; do '
    '{ all "$@"; printf "%s\\n" "$i$w$v"; } > "${o%n.txt}p$i.txt"; i=$((i+1)); done',
}
KINDS = ("join", "join", "head", "count", "slow", "exec", "split", "tools", "pair", "many", "own")
LITTER = "mkdir deep; : > deep/litter; ln -s deep/litter link; "
BROKEN = {"": "", "always": "exit 7; ", "thrice": '[ "$2" != 3 ] || exit 7; '}  # $2: its param `times`
FILE_KINDS = ("join", "head", "count", "slow", "exec")
OWN_STAGE = '''"""A stage of the project's own, each file that it reads a unit."""

import hashlib
import importlib
import os
import subprocess

import msgspec

from mediabuild.stage import Context, stage

SALT = "{salt}"


def hook(*words: object) -> None:
    if os.environ.get("HOOK"):
        subprocess.run(["sh", os.environ["HOOK"], *map(str, words)], check=False)


class OwnParams(msgspec.Struct, forbid_unknown_fields=True):
    times: int = 1
    word: str | bool | int | float = ""
    v: str = ""
    u: str = ""


@stage(version=1, inputs={{}}, optional={{"i0": "", "i1": "", "i2": "", "i3": ""}}, outputs={{"out": "out.txt"}})
def own(ctx: Context, params: OwnParams) -> None:
    inputs = [path for name in ("i0", "i1", "i2", "i3") for path in ctx.inputs(name).values()]
    hook("before", ctx.output("out"), "", "", "", *inputs)
    files = []
    for name in ("i0", "i1", "i2", "i3"):
        for path in ctx.inputs(name).values():
            below = sorted(path.rglob("*"), key=lambda p: p.parts) if path.is_dir() else [path]
            files += [file for file in below if file.is_file()]
    facts = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    found = b"".join(ctx.units(facts, lambda numbers: (files[number].read_bytes() for number in numbers)))
    import _shared

    hidden = importlib.import_module("_hid" + "den")
    salts = f"{{SALT}}{{params.v}}{{params.u}}{{_shared.SALT}}{{hidden.SALT}}"
    ctx.output("out").write_bytes(found * params.times + salts.encode())
    hook("after", ctx.output("out"))
'''
MODULE = 'SALT = "{salt}"\n'


WORDS = st.sampled_from(["", "w", "x", "1", 1, 1.0, True, "true", "-n", "$HOME"])
TIMES = st.integers(0, 3)
Values = tuple[str, ...] | str  # of a matrix over `v`: a list, or a glob of the job's files
FILES = "source/*.txt"
VALUES = st.sampled_from([(), (), ("x",), ("x", "y"), ("y", "x"), FILES, FILES, "source/sub/*"])
PATHS = ("./words.txt", "./extra/*.txt", "./tree", "?./notes/{job}.txt", "?./none/*")
PARTS = ("source/main.txt", "?source/p2.txt", "source/*.txt", "?source/sub/*")  # of a source that is a folder
MORE = st.sampled_from([(), (), (), ("p",), ("p", "q"), ("10", "2")])
EACH = st.sampled_from(["", "", "", "files", "rows"])
TABLE = "./rows.csv"
OF_VALUE = "source/{v}.txt"  # one file of it


@dataclass
class Node:
    """A stage of the random graph.

    Args:
        reads: references, as `pipeline.toml` writes them; the input names are i0, i1 …
        values: its matrix over `v`; empty for none. A text is a glob of the files of the job's folder.
        more: its matrix over `u`, empty for none. turned: this key comes first.
        file: the name of its output file.
        temp: its outputs go once all that read them are fresh.
        when: it is only in jobs where its first input is there, if that may be absent.
        table: its matrix is a table, whose values set `word`; not of files.
        broken: whether its program fails: always, or where `times` is 3.
        collect: it has one task over all jobs.
        each: its program runs once for each of the `files` of its first input, or of the `rows` of a table.
        told: it is told what the piece is called.
        optional: who reads all values of its matrix is made without those that fail.
        isolate: its command starts in a folder of its own, and leaves something there.
    """

    name: str
    kind: str
    reads: list[str]
    times: int = 1
    word: Any = "w"
    values: Values = ()
    more: tuple[str, ...] = ()
    turned: bool = False
    file: str = "out.txt"
    deliver: bool = False
    broken: str = ""
    temp: bool = False
    when: bool = False
    table: bool = False
    collect: bool = False
    each: str = ""
    told: bool = False
    isolate: bool = False
    optional: bool = False

    @property
    def conditional(self) -> bool:
        """Whether it has a `when`."""
        return self.when and self.reads[0].startswith("?") and not self.collect

    def word_of(self, value: str) -> Any:
        """Its param `word` for a value of its matrix."""
        return f"{value} of a table" if self.table and value in self.listed else self.word

    @property
    def listed(self) -> tuple[str, ...]:
        """The values of its matrix that stand in `pipeline.toml`."""
        return () if isinstance(self.values, str) else self.values

    @property
    def keys(self) -> list[str]:
        """The keys of its matrix, in order."""
        keys = [key for key, values in (("v", self.values), ("u", self.more)) if values]
        return keys[::-1] if self.turned or (self.table and self.listed) else keys  # TOML has tables last

    @property
    def of_files(self) -> bool:
        """Whether its matrix is over files."""
        return isinstance(self.values, str)

    def needs_input(self, reference: str) -> bool:
        """Whether it can't do without an input."""
        return not reference.startswith("?") and ("/" in reference or self.kind != "own" or self.collect)

    @property
    def in_pieces(self) -> bool:
        """Whether its program runs once for each piece."""
        return self.each != "" and self.kind in FILE_KINDS

    def fails(self, times: int) -> bool:
        """Whether its program fails with this param."""
        return self.broken == "always" or (self.broken == "thrice" and times == 3)

    def settle(self, *, folders: bool) -> None:
        """Mend what it can't have: parts of sources that are no folders, one job's files where it collects, no table.

        Args:
            folders: the sources are folders.
        """
        self.values = self.values if folders and not self.collect else self.listed
        self.reads = [text if folders or "source/" not in text else "source" for text in self.reads]
        self.reads = [text if self.values or text != OF_VALUE else "source/main.txt" for text in self.reads]
        of_a_job = [text for text in self.reads if self.collect and ("source" in text or "{job}" in text)]
        self.reads = ["./words.txt" if text in of_a_job else text for text in self.reads]
        if self.in_pieces and self.each == "rows":
            self.reads[0] = TABLE

    @property
    def outputs(self) -> dict[str, str]:
        """As `pipeline.toml` writes them."""
        if self.in_pieces:
            return {"out": "*.txt" if self.file == "out.txt" else "new/*.txt"}
        return {
            "split": {"out": "parts"},
            "tools": {"out": "parts"},
            "pair": {"out": "out.txt", "size": "sub/size"},
            "many": {"out": "n.txt", "each": "p*.txt"},
            "own": {"out": "out.txt"},
        }.get(self.kind, {"out": self.file})

    def command(self) -> list[str]:
        """The argv of a command stage, with its placeholders."""
        script = ALL + LITTER * self.isolate + BROKEN[self.broken] + SCRIPTS[self.kind] + THEN
        of_rows = self.in_pieces and self.each == "rows"
        value = "{row.text}" * of_rows + "{piece}" * (self.told and self.in_pieces)
        value += "".join(f"{{params.{key}}}" for key in self.keys)
        inputs = [f"{{inputs.i{number}}}" for number in range(int(of_rows), len(self.reads))]
        return ["sh", "-c", script, self.name, "{outputs.out}", "{params.times}", "{params.word}", value, *inputs]

    def in_toml(self) -> dict[str, Any]:
        """Its table in `pipeline.toml`."""
        table: dict[str, Any] = {"inputs": {f"i{n}": text for n, text in enumerate(self.reads)}}
        table["params"] = {"times": self.times, "word": self.word}
        if self.kind == "own":
            table["uses"] = "own"
        else:
            table |= {"command": self.command(), "outputs": self.outputs}
        if self.isolate and self.kind != "own":
            table["isolate"] = True
        if self.in_pieces:
            table |= {"each": "i0", "resources": {"cpu": 2}}
        if self.keys:
            tables = {value: {"word": self.word_of(value)} for value in self.listed}
            listed = tables if self.table else list(tables)
            axes = {"v": self.values if self.of_files else listed, "u": list(self.more)}
            table["matrix"] = {key: axes[key] for key in self.keys}
        if self.conditional:
            table["when"] = "i0"
        if self.temp:
            table["temp"] = True
        if self.optional and self.keys:
            table["optional"] = True
        if self.collect:
            table["collect"] = True
        if self.deliver:
            table["deliver"] = f"out/{'all' if self.collect else '{job}'}-{self.name}"
            table["deliver"] += "".join(f"-{{{key}}}" for key in self.keys)
            table["deliver"] += "/" * self.in_pieces
        return table


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    """Two to five stages; each reads earlier stages, the source and files."""
    nodes: list[Node] = []
    for number in range(draw(st.integers(2, 5))):
        nodes.append(draw(stages(f"S{number}", nodes)))
    return nodes


@st.composite
def stages(draw: st.DrawFn, name: str, earlier: list[Node]) -> Node:
    """A stage that can stand behind the earlier ones."""
    kind = draw(st.sampled_from(KINDS))
    node = Node(name, kind, [], draw(TIMES), draw(WORDS), draw(VALUES), draw(MORE), turned=draw(st.booleans()))
    readable = [other for other in earlier if fits(node, other)]
    node.reads = draw(st.lists(references(readable, node.values), min_size=1, max_size=3))
    node.deliver = kind in (*FILE_KINDS, "own") and draw(st.booleans()) and draw(st.booleans())
    node.temp = not node.deliver and draw(st.booleans()) and draw(st.booleans())
    node.when, node.table, node.told = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    node.collect, node.each = draw(st.booleans()) and draw(st.booleans()), draw(EACH)
    node.isolate, node.optional = draw(st.booleans()) and draw(st.booleans()), draw(st.booleans())
    return node


def fits(reader: Node, producer: Node) -> bool:
    """Whether a stage can read the producer, value by value; what files lack may fail."""
    if reader.more and producer.more and not set(reader.more) <= set(producer.more):
        return False
    if not reader.values or not producer.values or producer.of_files:
        return True
    return set(reader.listed) <= set(producer.listed) and not reader.of_files


def references(readable: list[Node], values: Values) -> st.SearchStrategy[str]:
    """What a stage can read: mostly other stages; where its matrix is over files, its file."""
    of_stages = [f"{node.name}{suffix}" for node in readable for suffix in ("", *(f".{out}" for out in node.outputs))]
    maybe = [f"?{reference}" for reference in of_stages]
    own = [OF_VALUE] * 4 if isinstance(values, str) else []
    return st.sampled_from([*of_stages, *of_stages, *maybe, *own, "source", "source", *PATHS, *PARTS])
