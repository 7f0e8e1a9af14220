"""What differs from job to job: the values of a matrix, the stages that it has, its inputs, its params.

Not here: which jobs there are (`pipeline.sources`), their tasks (`pipeline.tasks`).
"""
