"""What is kept below the jobs directory: manifests, digests, earlier outputs, marks, the index; one home for facts.

Not here: deciding what follows from it (`freshness`).
"""
