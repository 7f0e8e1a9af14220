"""Words and sentences of a text, and the terms of the project among them.

Not here: cues (`subtitles`), engines that translate (`translation`).
"""
