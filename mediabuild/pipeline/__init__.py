"""Reads and checks `pipeline.toml` and the command line, and makes tasks of them, as plain data.

Not here: what is there already (`store`).
"""
