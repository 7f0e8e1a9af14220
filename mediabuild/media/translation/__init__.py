"""Engines that translate sentences, and what keeps terms and identifiers through them.

Not here: the stage (`stages/translate.py`).
"""
