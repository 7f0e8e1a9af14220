"""Running the programs of stages that are commands.

Not here: what may stand in their tables (`pipeline.command_stages`), Python stages (`execution.workers`).
"""
