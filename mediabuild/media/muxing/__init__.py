"""A new file, put together: which tracks it gets, in which container, and what it can not keep.

Not here: reading recordings (`recordings`).
"""
