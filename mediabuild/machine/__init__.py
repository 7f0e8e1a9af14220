"""What the operating system offers: processes, locks, devices, files. Nothing here knows of pipelines.

Not here: ffmpeg and media (`media`).
"""
