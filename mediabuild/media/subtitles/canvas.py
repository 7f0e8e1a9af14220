"""What subtitles are painted on: the shape of the picture as it is shown, and what fits into a line of it.

Sizes are in the pixels of an ASS script, whose shorter side is 1080 whatever the recording's own size, so that letters
look alike in every shape.

Not here: the script itself (`subtitle_files`).
"""

from __future__ import annotations

from dataclasses import dataclass

from mediabuild.media.formats import Probe, VideoTrack

SHORTER_SIDE_PX = 1080
FONT_PX = 54  # a twentieth of the shorter side
COLUMN_PX = 29  # of a letter of DejaVu Sans at that size, on average over English and Spanish, spaces included
NARROWEST_COLUMNS = 20  # even in a strip, words need some room
SIDE_MARGIN = 0.05  # of the width
BOTTOM_MARGIN = 0.055  # of the height
UPRIGHT_BOTTOM_MARGIN = 0.12  # a telephone's player covers the bottom of an upright picture with its controls


@dataclass(frozen=True)
class Canvas:
    """An ASS script's pixels: its width and height."""

    width_px: int
    height_px: int

    @classmethod
    def of(cls, probe: Probe | None) -> Canvas:
        """The canvas for a recording; 16:9 where there is no picture, or nothing tells its shape."""
        return cls.showing(probe.video[0] if probe and probe.video else None)

    @classmethod
    def showing(cls, video: VideoTrack | None) -> Canvas:
        """The canvas for a picture."""
        width, height = (video.shown_width_px, video.shown_height_px) if video else (0, 0)
        if width <= 0 or height <= 0:
            width, height = 16, 9
        scale = SHORTER_SIDE_PX / min(width, height)
        return cls(round(width * scale), round(height * scale))

    @property
    def side_px(self) -> int:
        """The margin on the left and on the right."""
        return round(self.width_px * SIDE_MARGIN)

    @property
    def bottom_px(self) -> int:
        """The margin below the last line."""
        return round(self.height_px * (UPRIGHT_BOTTOM_MARGIN if self.height_px > self.width_px else BOTTOM_MARGIN))

    @property
    def line_columns(self) -> int:
        """How many columns of text fit between the margins."""
        return max(NARROWEST_COLUMNS, (self.width_px - 2 * self.side_px) // COLUMN_PX)
