"""Text that looks like markup: no format takes it for any, and it comes back as it was."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mediabuild.media.subtitles.markup import plain_srt, plain_vtt, srt_text, vtt_text

MARKUP = ["&amp;", "&lt;", "&#60;", "&section=2", "<i>", "</b>", "<v Bob>", "-->", "{\\an8}", "\\N", "<00:01.000>"]
PARTS = [*MARKUP, *"ab{}❴❵\u2060<>&;\\Nh-/#1 日\u0301"]


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=12).map(lambda parts: " ".join("".join(parts).split())))
def test_any_text_comes_back_from_subrip_and_webvtt(text: str) -> None:
    """Joiners and look-alikes of braces of the text's own, too; and no line of it is a cue's times."""
    assert plain_srt(srt_text([text])) == text
    assert plain_vtt(vtt_text([text])) == text
    assert "-->" not in srt_text([text]) + vtt_text([text])


def test_a_persons_markup_goes_and_a_persons_text_stays() -> None:
    """Tags that players know, positions and whole entities go; comparisons, addresses and unknown tags are text."""
    assert plain_srt("{\\an8}<b>Tom</b> &amp; <font color='red'>I</font> {laughs} 3 < 4") == "Tom & I {laughs} 3 < 4"
    assert plain_srt("?a=1&section=2&copy=3&section;") == "?a=1&section=2&copy=3&section;"
    assert plain_srt("a<b and c>d, <T> and <string>") == "a<b and c>d, <T> and <string>"
    assert plain_vtt("<v Bob>Hi</v> <00:01.500><c.loud>there</c> a &lt; b&nbsp;&gt; c") == "Hi there a < b\xa0> c"
