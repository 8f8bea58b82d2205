"""The independent check of a result, part by part. It imports nothing of the engine."""
