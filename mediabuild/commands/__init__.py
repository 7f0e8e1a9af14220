"""The commands: one a file, in the words that a user types.

Not here: doit's scheduling (`schedule`), running stages (`execution`).
"""
