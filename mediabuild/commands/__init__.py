"""The commands; each is listed for doit in `main.PLUGINS` and in pyproject.toml.

Not here: doit's scheduling (`schedule`), running stages (`execution`).
"""
