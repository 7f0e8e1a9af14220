"""Find where somebody speaks.

Silero's model, from inside faster-whisper, gives each window of 512 samples at 16 kHz (32 ms) a
probability; the rules here turn those into stretches, the same ones as faster-whisper's
`get_speech_timestamps`. Besides these, faint speech is found, which Silero is never sure of: a telephone's narrow
band, whispering, an echo. Windows are counted from the source's zero, not from the clip's, so that the
same speech gives the same stretches when the clip's start moves.

The recording is streamed: an hour of it costs half a megabyte of probabilities.

Not here: what is said (`transcribe`), and who says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import msgspec

from mediabuild.media import formats
from mediabuild.media.recordings.sound import SPEECH_HZ, Sound
from mediabuild.stage import Context, stage

if TYPE_CHECKING:
    import numpy as np

WINDOW_SAMPLES = 512
WINDOW_MS = 32
CONTEXT_SAMPLES = 64  # of the window before, which Silero hears again

# Faint speech: as shares of `threshold`, what opens a run, what keeps it open, and its mean; its least length, and how
# much of it may be sure, of how sure a kind (more of both, and it is plain speech). On 54 recordings this changed only
# those whose band is narrow, that echo, are whispered or said with a cold; in music and noise the mean is lower or the
# run shorter.
FAINT_OPENS, FAINT_KEEPS, FAINT_MEAN = 0.4, 0.2, 0.3
FAINT_WINDOWS = 1000 // WINDOW_MS
FAINT_SURE, FAINT_SURE_MEAN = 0.5, 0.3  # the mean as a share of the way from `threshold` to 1

Stretch = tuple[float, float]


class DetectSpeechParams(msgspec.Struct, forbid_unknown_fields=True):
    """How sure, and how long, speech and silence must be."""

    threshold: Annotated[
        float, msgspec.Meta(gt=0, lt=1, description="a window as likely to be speech as this opens a stretch")
    ] = 0.5
    min_speech_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000, description="a shorter stretch is dropped")] = 0
    min_silence_ms: Annotated[
        int, msgspec.Meta(ge=32, le=60_000, description="a shorter silence doesn't end a stretch")
    ] = 500
    speech_pad_ms: Annotated[
        int, msgspec.Meta(ge=0, le=2_000, description="added to both ends of a stretch, where there is room")
    ] = 200
    max_speech_s: Annotated[
        float, msgspec.Meta(ge=5, le=3600, description="a longer stretch is cut where it is least like speech")
    ] = 28.0


@stage(
    version=4,
    inputs={"audio": "the recording's sound, WAV"},
    optional={"probe": "where the clip starts in the recording"},
    outputs={"segments": "segments.json"},
    tools=("faster-whisper", "onnxruntime"),
)
def detect_speech(ctx: Context, params: DetectSpeechParams) -> None:
    """Find the stretches of speech."""
    probabilities: list[float] = []
    probe = formats.read_optional(ctx.inputs("probe"), formats.Probe)
    with Sound(ctx.input("audio"), probe.clip_start_s if probe else 0.0) as sound:
        padding = padding_frames(sound.first_frame, sound.rate_hz)
        padding_s = padding / sound.rate_hz
        for heard in _heard(_windows(sound, padding)):
            probabilities += heard
            ctx.progress(min(len(probabilities) * WINDOW_MS / 1000, sound.duration_s), sound.duration_s)

    found = []
    for start_ms, end_ms in speech_stretches(probabilities, params):
        start_s = max(0.0, round(start_ms / 1000 - padding_s, 6))
        end_s = min(sound.duration_s, round(end_ms / 1000 - padding_s, 6))
        if start_s < end_s:
            found.append((start_s, end_s))
    if not found and probe and len(probe.audio) > 1:
        others = [track for track in probe.audio if track.index != probe.audio_track]
        named = ", ".join(f"{track.index} ({track.language or 'no language'})" for track in others)
        ctx.warn(
            f"detect_speech: nobody speaks in audio track {probe.audio_track}; there are others: {named}",
            f"doit {ctx.makers.get('probe', 'demux')}.audio_track={others[0].index}",
        )
    formats.write(ctx.output("segments"), formats.Speech(found))


def padding_frames(clip_start: int, rate_hz: int) -> int:
    """How much silence to put before the clip, so that windows lie where they would in the whole source.

    Args:
        clip_start: frames of the source before the clip, at `rate_hz`.

    Returns:
        Frames at `rate_hz`: the clip's start, counted from the last whole number of windows that is
        also a whole number of frames (at 44.1 kHz that is every fifth window).
    """
    windows = Fraction(rate_hz * WINDOW_SAMPLES, SPEECH_HZ).denominator
    return clip_start % (windows * rate_hz * WINDOW_SAMPLES // SPEECH_HZ)


def speech_stretches(probabilities: Sequence[float], params: DetectSpeechParams) -> list[tuple[float, float]]:
    """The stretches of speech, in ms from the first window, ordered, not overlapping."""
    found: list[tuple[int, int]] = []
    for first, end in _runs(probabilities, params):
        found += _cut(probabilities, first, end, max(2, int(params.max_speech_s * 1000) // WINDOW_MS))
    stretches = [(float(first * WINDOW_MS), float(end * WINDOW_MS)) for first, end in found]
    return _padded(stretches, params.speech_pad_ms, len(probabilities) * WINDOW_MS)


def _runs(probabilities: Sequence[float], params: DetectSpeechParams) -> Iterator[tuple[int, int]]:
    """Runs of windows with speech, `[first, end)`: sure ones, or a faint one in place of the few sure ones in it."""
    opens = params.threshold
    surely = opens + FAINT_SURE_MEAN * (1 - opens)
    sure = list(_open(probabilities, opens, max(opens - 0.15, 0.01), params))
    for first, end in _open(probabilities, FAINT_OPENS * opens, FAINT_KEEPS * opens, params):
        inside = [run for run in sure if first <= run[0] < end]
        certain = [probability for start, last in inside for probability in probabilities[start:last]]
        is_plain = len(certain) >= FAINT_SURE * (end - first) and fmean(certain) >= surely
        if is_plain or end - first < FAINT_WINDOWS or fmean(probabilities[first:end]) < FAINT_MEAN * opens:
            yield from inside
        else:
            yield first, end


def _open(
    probabilities: Sequence[float], opens: float, keeps: float, params: DetectSpeechParams
) -> Iterator[tuple[int, int]]:
    """Runs by Silero's hysteresis, as in faster_whisper.vad: from `opens` on, until it is below `keeps` for long."""
    first = quiet = None  # where the open run began; where its latest silence did
    for index, probability in enumerate(probabilities):
        if probability >= opens:
            quiet = None
            first = index if first is None else first
        elif probability < keeps and first is not None:
            quiet = index if quiet is None else quiet
            if (index - quiet) * WINDOW_MS >= params.min_silence_ms:
                if (quiet - first) * WINDOW_MS > params.min_speech_ms:
                    yield first, quiet
                first = quiet = None
    if first is not None and (len(probabilities) - first) * WINDOW_MS > params.min_speech_ms:
        yield first, len(probabilities)


def _cut(probabilities: Sequence[float], first: int, end: int, longest: int) -> Iterator[tuple[int, int]]:
    """A run in pieces of at most `longest` windows, each cut at the least likely window of its second half."""
    while end - first > longest:
        cut = min(range(first + longest // 2, first + longest), key=probabilities.__getitem__)
        yield first, cut
        first = cut
    yield first, end


def _padded(stretches: list[Stretch], padding_ms: float, duration_ms: float) -> list[Stretch]:
    """Stretches with room at both ends; two that are close share the silence between them."""
    padded = []
    for index, (start_ms, end_ms) in enumerate(stretches):
        before_ms = start_ms - stretches[index - 1][1] if index else 2 * start_ms
        after_ms = stretches[index + 1][0] - end_ms if index + 1 < len(stretches) else 2 * (duration_ms - end_ms)
        padded.append((start_ms - min(padding_ms, before_ms / 2), end_ms + min(padding_ms, after_ms / 2)))
    return padded


def _windows(sound: Sound, padding: int) -> Iterator[np.ndarray]:
    """The recording as Silero hears it: float32 [windows, 512] at 16 kHz, the last one filled with silence."""
    import numpy as np

    held: np.ndarray = np.zeros(0, np.float32)
    for piece in sound.all_as_speech(padding):
        held = np.concatenate([held, piece])
        whole = len(held) // WINDOW_SAMPLES * WINDOW_SAMPLES
        yield held[:whole].reshape(-1, WINDOW_SAMPLES)
        held = held[whole:]
    if len(held):
        yield np.pad(held, (0, WINDOW_SAMPLES - len(held)))[None]


def _heard(blocks: Iterator[np.ndarray]) -> Iterator[list[float]]:
    """Silero's probability of each window: its `SileroVADModel.__call__`, with the state kept from block to block."""
    import numpy as np
    from faster_whisper.vad import get_vad_model

    session = get_vad_model().session
    h: np.ndarray = np.zeros((1, 1, 128), np.float32)
    c: np.ndarray = np.zeros((1, 1, 128), np.float32)
    before: np.ndarray = np.zeros((1, CONTEXT_SAMPLES), np.float32)
    for windows in blocks:
        if len(windows):
            ends = np.concatenate([before, windows[:, -CONTEXT_SAMPLES:]])
            output, h, c = session.run(None, {"input": np.hstack([ends[:-1], windows]), "h": h, "c": c})
            before = ends[-1:]
            yield [float(probability) for probability in output.ravel()]
