"""Making results: a task is locked, looked at, brought back or run, recorded, published and delivered.

Not here: the order of tasks (`schedule`).
"""
