"""What is wanted: `pipeline.toml` and the command line, read, checked, and turned into tasks. Plain data comes out.

Not here: what is there already (`store`).
"""
