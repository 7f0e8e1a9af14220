"""Cues: cut, timed, broken into lines, written and read, and the rules that they keep.

Not here: subtitles as tracks of a file (`muxing`).
"""
