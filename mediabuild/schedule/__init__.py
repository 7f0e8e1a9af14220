"""When tasks run: the only room that meets doit's engine.

Not here: what a task does (`execution`), whether it has to (`freshness`).
"""
