"""The ground: processes, locks, devices, interpreters, files. Nothing here knows of pipelines.

Not here: ffmpeg and media (`media`).
"""
