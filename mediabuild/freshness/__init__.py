"""Is a task up to date, and why not: what is recorded is compared with what is there.

Not here: acting on it (`execution`).
"""
