"""Where a run's records are kept: one SQLite file in the run's folder. Knows records; knows nothing of what they mean."""
