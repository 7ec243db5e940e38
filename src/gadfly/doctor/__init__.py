"""Checks a configuration before hours are spent on it: models, servers, images, memory, cost, one probe end to end."""
