"""A glossary of a project, transcripts that hold its terms, and what became of their text.

Not here: running the stage (`conftest.corrected`).
"""

from __future__ import annotations

from pathlib import Path

from mediabuild.media import formats
from mediabuild.media.formats import Segment, Transcript, Word

TERMS = """\
term,es,alternatives,gender,note
Elinor,Elinor,Ellen or|Eleanora,,the elder sister
Norland Park,Norland Park,,m,
Dashwood,Dashwood,,,
Marianne,Marianne,,,
voice,voz,wice;voyce,f,
Black Sea,Mar Negro,,m,
Kubernetes,,,,
kubectl,,cube control,,
Will,,,,
Iran,Irán,,,
Devonshire,,,,
source separation,separación de fuentes,,f,
photosynthesis,fotosíntesis,,f,
Raphael,Rafael,,m,
GitHub,,,,
C++,,see plus plus,,
C#,,,,
50%,,,,
$100,,,,
.NET,,dot net,,
IT,,,,
WHO,,,,
U.S.,,,,
backup,,,,
everyday,,,,
HTTP 1.1,,,,
Never Said,nunca dicho,,,
"""


def said(*segments: str, language: str = "en") -> Transcript:
    """A transcript whose words take 0.3 s each."""
    made_segments, now_s = [], 0.0
    for index, text in enumerate(segments):
        words = []
        for word in text.split():
            words.append(Word(word, round(now_s, 3), round(now_s + 0.25, 3)))
            now_s += 0.3
        made_segments.append(Segment(index, words[0].start_s, words[-1].end_s, text, words=words))
    return Transcript(language, "param", made_segments)


def texts(out: Path) -> list[str]:
    """The corrected text of each segment; its words must say the same."""
    segments = formats.read(out / "transcript.json", Transcript).segments
    for segment in segments:
        assert segment.text == " ".join(word.text for word in segment.words)
    return [segment.text for segment in segments]
