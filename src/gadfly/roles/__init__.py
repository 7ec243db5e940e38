"""Questioner, target and verifier: a prompt and a parser over any model. Knows nothing of backends."""
