"""Training of the questioner, by GRPO and by supervised fine-tuning; the only package that imports trl."""
