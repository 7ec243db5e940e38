"""Where a run's records are kept: one SQLite file in the run's folder. Knows records, not what they mean."""
