"""The code behind stages: which files it consists of, how they are loaded, which interpreter runs them.

Not here: what a stage file imports (`mediabuild.stage`).
"""
