"""When tasks run; the only folder besides `commands/` that imports doit.

Not here: what a task does (`execution`), whether it has to (`freshness`).
"""
