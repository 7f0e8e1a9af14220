"""Names: the nearest one, what goes to disk and comes back, and braces."""

from __future__ import annotations

import itertools
import re
import urllib.parse

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mediabuild.pipeline.deliveries import suffixes
from mediabuild.pipeline.mistakes import nearest
from mediabuild.pipeline.paths import expand_braces, fixed_part
from mediabuild.pipeline.reserved import encode_name, own_name

ANY = settings(derandomize=True, database=None, max_examples=200)
CHOICES = st.lists(st.text("abc.*/", max_size=3), min_size=2, max_size=3)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@ANY
@given(NAMES)
@example("100% a:b=c*\n")
@example("%25")
def test_an_encoded_name_can_be_read_back(name: str) -> None:
    """So two names never become one; and what doit or a file system would misread is not in it."""
    encoded = encode_name(name)
    assert urllib.parse.unquote(encoded) == name
    assert own_name(encoded) == name.replace("\0", "%00")  # which no file's name holds
    assert not re.search(r"[:=*\x00-\x1f\x7f]", encoded)


@ANY
@given(st.lists(NAMES, min_size=2, max_size=2, unique=True))
@example(["a:b", "a%3Ab"])
@example(["%", "%25"])
def test_different_names_stay_different(names: list[str]) -> None:
    """The mapping is one to one."""
    assert encode_name(names[0]) != encode_name(names[1])


def test_plain_names_stay_as_they_are() -> None:
    """Spaces, slashes, dots and letters of any script are no trouble."""
    for name in ("season1/ep 01", "zwei ü", "日本", "a.b-c_d", "'quotes' & $x"):
        assert encode_name(name) == name


@ANY
@given(
    st.lists(st.lists(st.text("abc.*/", max_size=3), min_size=2, max_size=3), max_size=3), st.text("xy/.*", max_size=4)
)
def test_braces_are_all_combinations(sets: list[list[str]], between: str) -> None:
    """As the shell expands them, in its order."""
    pattern = between + "".join("{" + ",".join(choices) + "}" + between for choices in sets)
    expected = [between + "".join(choice + between for choice in chosen) for chosen in itertools.product(*sets)]
    assert expand_braces(pattern) == expected


@pytest.mark.parametrize(
    ("pattern", "expanded"),
    [
        ("media/*.{mp4,mkv}", ["media/*.mp4", "media/*.mkv"]),
        ("{job}/x", ["{job}/x"]),
        ("{job}.{a,b}", ["{job}.a", "{job}.b"]),
        ("{one}", ["{one}"]),
        ("{}", ["{}"]),
        ("{a", ["{a"]),
        ("a}", ["a}"]),
        ("{a,}", ["a", ""]),
        ("", [""]),
    ],
)
def test_what_is_a_set_of_braces(pattern: str, expanded: list[str]) -> None:
    """A comma makes it one; placeholders and lone braces stay."""
    assert expand_braces(pattern) == expanded


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("media/**/*.mp4", "media"),
        ("media/a/b.mp4", "media/a"),
        ("*.mp4", ""),
        ("media/s?/x.mp4", "media"),
        ("media/{a,b}/x.mp4", "media"),
        ("media/[ab]/x/y.mp4", "media"),
        ("/abs/*.mp4", "/abs"),
    ],
)
def test_the_fixed_part_of_a_glob(pattern: str, folder: str) -> None:
    """The folders before the first wildcard: a job's name begins behind them."""
    assert fixed_part(pattern) == folder


def test_the_nearest_name() -> None:
    """A slip of the finger is answered with the name; anything else with what there is, up to a point."""
    assert nearest("demx", ["demux", "align"]) == "did you mean 'demux'?"
    assert nearest("zzz", ["b", "a"]) == "there is: a, b"
    assert nearest("zzz", []) == ""
    assert nearest("zzz", [f"n{number}" for number in range(99)]).endswith(" …")


@pytest.mark.parametrize(("path", "found"), [("subs/a.es.srt", ".es.srt"), ("a.d/wav", ".wav"), ("x.txt", ".txt")])
def test_suffixes(path: str, found: str) -> None:
    """From the name's first dot on; a name without one becomes one."""
    assert suffixes(path) == found
