"""What a probe is worth to the questioner: the reward terms and their combination. Knows no model and no store."""
