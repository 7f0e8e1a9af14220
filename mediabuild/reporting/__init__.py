"""What a run says, to people and to programs: listeners of events, nothing else.

Not here: deciding or running anything.
"""
