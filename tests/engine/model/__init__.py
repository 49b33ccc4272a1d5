"""A plain model of the engine, whose rules do to both what callers, workers and operators may do."""
