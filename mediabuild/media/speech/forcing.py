"""Text forced onto sound: pocketsphinx finds when each written word is spoken, and in which of its readings.

The words are a grammar: one after the other, each in any of its readings, with silence or noise between them. The
acoustic model is American English. What its dictionary lacks is added by its phones, under a name made of them, so
that the same sound always gives the same names.

Not here: what the readings are (`readings`), how unknown words sound (`pronunciations`), and where a text lies in a
recording (the `align` stage).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mediabuild.media.speech.numbers import Reading

if TYPE_CHECKING:
    import numpy as np

FRAME_S = 0.01
FRAME_SAMPLES = 160
SHORTEST_SAMPLES = 800
HISS = 0.001  # of the loudest sample; the model has never heard a silence of zeros alone, and loses the words beside it
SILENCE = 0.1  # the probability of one between two words; with pocketsphinx's own, short words are lost in them
ADDED = "~"

# For each written word the ways to say it, as words of the decoder's dictionary.
Grammar = list[list[list[str]]]
Stretch = tuple[float, float]


def decoder() -> Any:
    """pocketsphinx with its American English model; no language model, the text is given."""
    from pocketsphinx import Decoder

    return Decoder(lm=None, loglevel="FATAL")


def unknown(pocketsphinx: Any, said: Sequence[Sequence[Reading]]) -> set[str]:
    """The words of some readings that the dictionary lacks."""
    return {word for ways in said for way in ways for word in way if not _listed(pocketsphinx, word)}


def grammar(pocketsphinx: Any, said: Sequence[Sequence[Reading]], phones: Mapping[str, str]) -> Grammar:
    """Readings as words of the dictionary; a reading with a word that nobody can say is left out.

    Args:
        phones: ARPABET of words, which goes before the dictionary's.
    """
    found: Grammar = []
    for ways in said:
        named = [[_name(pocketsphinx, word, phones) for word in way] for way in ways]
        found.append([[name for name in way if name] for way in named if all(way)])
    return found


def certain(words: Grammar) -> Grammar:
    """A grammar without the words whose sound is a guess: those with several readings, and what was added."""
    return [ways if len(ways) == 1 and not any(name.startswith(ADDED) for name in ways[0]) else [] for ways in words]


def _listed(pocketsphinx: Any, word: str) -> str:
    """A word as the dictionary has it, with or without the apostrophes around it; empty where it hasn't."""
    return next((form for form in (word, word.strip("'")) if form and pocketsphinx.lookup_word(form)), "")


def _name(pocketsphinx: Any, word: str, phones: Mapping[str, str]) -> str:
    if word not in phones:
        return _listed(pocketsphinx, word)
    name = ADDED + phones[word].replace(" ", "-")
    if not pocketsphinx.lookup_word(name):
        pocketsphinx.add_word(name, phones[word], True)
    return name


def forced(
    pocketsphinx: Any, words: Grammar, sound: np.ndarray, silence: float = SILENCE
) -> list[Stretch | None] | None:
    """When each word is spoken, in seconds from the sound's start; None where the text can't be found in it.

    Args:
        words: those without a way to say them have no time. sound: int16 [samples] at 16 kHz.
        silence: the probability of a silence between two words.
    """
    transitions, last = _transitions(words)
    if not transitions or len(sound) < SHORTEST_SAMPLES:
        return None
    pocketsphinx.config["silprob"] = silence
    pocketsphinx.reinit_feat()  # or the result depends on what was heard before
    try:
        pocketsphinx.add_fsg("text", pocketsphinx.create_fsg("text", 0, last, transitions))
        pocketsphinx.activate_search("text")
        pocketsphinx.start_utt()
        pocketsphinx.process_raw(_hissing(sound).tobytes(), full_utt=True)
        pocketsphinx.end_utt()
    except RuntimeError:
        return None
    # Read in one go: the segmentation dies with the next utterance. <sil>, [NOISE] and ++COUGH++ aren't words.
    spoken = [
        (re.sub(r"\(\d+\)$", "", part.word), part.start_frame, part.end_frame)
        for part in pocketsphinx.seg() or ()
        if not part.word.startswith(("<", "[", "+"))
    ]
    counts = _counts(words, [name for name, _, _ in spoken])
    if counts is None:
        return None
    times: list[Stretch | None] = []
    first = 0
    for count in counts:
        parts = spoken[first : first + count]
        times.append((parts[0][1] * FRAME_S, (parts[-1][2] + 1) * FRAME_S) if parts else None)
        first += count
    return times


def _hissing(sound: np.ndarray) -> np.ndarray:
    """A sound with a hiss that nobody hears, the same each time: int16 [samples]."""
    import numpy as np

    loudest = np.abs(sound.astype(np.int32)).max(initial=0)
    hiss = np.random.default_rng(0).normal(0, max(1.0, HISS * loudest), len(sound))
    hissing: np.ndarray = np.clip(np.rint(sound + hiss), -32768, 32767).astype("<i2")
    return hissing


def _transitions(words: Grammar) -> tuple[list[tuple[int, int, float, str]], int]:
    """The grammar's edges (from, to, weight, word), and its final state; it begins in state 0."""
    transitions = []
    state = 0
    for ways in words:
        end = state + 1 + sum(len(way) - 1 for way in ways) if ways else state
        free = state + 1
        for way in ways:
            at = state
            for index, name in enumerate(way):
                to = end if index == len(way) - 1 else free
                free += to != end
                transitions.append((at, to, 1.0, name))
                at = to
        state = end
    return transitions, state


def _counts(words: Grammar, spoken: Sequence[str]) -> list[int] | None:
    """How many spoken words each written one took; None where they aren't all of the text."""
    ways_to: list[dict[int, int]] = [{0: 0}]  # before each written word: spoken words so far → taken by the one before
    for ways in words:
        after: dict[int, int] = {}
        for so_far in ways_to[-1]:
            for way in ways or [[]]:
                if list(spoken[so_far : so_far + len(way)]) == way:
                    after.setdefault(so_far + len(way), len(way))
        ways_to.append(after)
    counts = []
    so_far = len(spoken)
    for after in reversed(ways_to[1:]):
        if so_far not in after:
            return None
        counts.append(after[so_far])
        so_far -= after[so_far]
    return counts[::-1] if so_far == 0 else None
