"""What is kept on disk: manifests, digests, earlier outputs, marks, the index; later, results shared between machines.

Not here: deciding what follows from it (`freshness`).
"""
