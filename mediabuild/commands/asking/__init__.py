"""The commands that only tell: what a run would do and why (`status`, `explain`, `check`), what is missing (`doctor`).

Not here: what they tell (`freshness`, `schedule.foresight`).
"""
