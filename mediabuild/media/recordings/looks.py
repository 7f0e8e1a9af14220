"""What a picture is like, for whoever encodes it again: bits, colours, fields, HDR.

Not here: how it is encoded (`encoding`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mediabuild.media.recordings.clock import zero_s
from mediabuild.media.recordings.recording import is_interlaced

FIELD_ORDERS = {2, 3, 4, 5}  # AVFieldOrder: any but unknown and progressive
HDR_TRANSFERS = {16: "smpte2084", 18: "arib-std-b67"}  # AVColorTransferCharacteristic: PQ and HLG, ITU-R BT.2100
ALPHA_ASIDE = {"1"}  # `alpha_mode` of VP8 and VP9 in WebM, whose transparency ffmpeg doesn't decode


@dataclass(frozen=True)
class Look:
    """What encoding a picture has to mind.

    Args:
        bits: of each component. chroma: `4:2:0` and the like, `RGB`, or `grey`.
        transfer: ffmpeg's name of an HDR transfer, `smpte2084` (PQ) or `arib-std-b67` (HLG); None for SDR.
        start_s: of its first frame, on the source's clock. rate: its average, in frames a second.
        fields: `interlaced` where the decoder marks frames as two fields, `unmarked` where only the file says so.
    """

    bits: int = 8
    chroma: str = "4:2:0"
    alpha: bool = False
    transfer: str | None = None
    dolby_vision: bool = False
    fields: str | None = None
    width_px: int = 0
    height_px: int = 0
    start_s: float = 0.0
    rate: Fraction | None = None


def look_of(container: Any, stream: Any, said: str) -> Look:
    """What a picture is like; decodes a few of its frames.

    Args:
        said: what ffmpeg says of the stream (`ffmpeg.described`).
    """
    known = stream.codec_context
    shape = known.format
    parts = shape.components if shape else ()
    fields = "interlaced" if is_interlaced(container, stream) else None
    if fields is None and known.field_order in FIELD_ORDERS:
        fields = "unmarked"
    return Look(
        bits=max((part.bits for part in parts), default=8),
        chroma=_chroma(shape) if shape else "4:2:0",
        alpha=any(part.is_alpha for part in parts) or stream.metadata.get("alpha_mode") in ALPHA_ASIDE,
        transfer=HDR_TRANSFERS.get(int(known.color_trc or 0)),
        dolby_vision="DOVI" in said,
        fields=fields,
        width_px=known.width,
        height_px=known.height,
        start_s=float((stream.start_time or 0) * stream.time_base) - zero_s(container),
        rate=stream.average_rate,
    )


def _chroma(shape: Any) -> str:
    """How much colour a pixel format keeps, as people write it."""
    if shape.is_rgb or shape.has_palette:
        return "RGB"
    if sum(not part.is_alpha for part in shape.components) == 1:
        return "grey"
    across, down = shape.chroma_width(16), shape.chroma_height(16)
    return {(16, 16): "4:4:4", (8, 16): "4:2:2", (8, 8): "4:2:0", (4, 16): "4:1:1"}.get((across, down), "4:2:0")
