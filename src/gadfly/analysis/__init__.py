"""What is made of probes once they are recorded: rates, skills, comparisons, curves. Knows records only."""
