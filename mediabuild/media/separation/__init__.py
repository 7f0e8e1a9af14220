"""Taking sound apart: which parts of a recording are heard at once, and demucs' models.

Not here: the stage itself, and the sound's clock (`recordings`).
"""
