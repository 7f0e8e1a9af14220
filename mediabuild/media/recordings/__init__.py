"""A recording, taken apart: its tracks, its clock, its end, its sound and pictures.

Not here: putting a new file together (`muxing`).
"""
