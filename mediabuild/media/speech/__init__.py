"""Speech in a sound: where somebody speaks, what is heard at once, how words are spoken.

Not here: cutting the sound (`recordings`).
"""
