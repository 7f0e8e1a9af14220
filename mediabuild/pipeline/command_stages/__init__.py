"""Stages that are commands: how they run, and what may stand in their tables.

Not here: running them (`execution.command_stages`).
"""
