"""Images with exact ground truth: scenes, a question language, an oracle that answers it, and bundled checkpoints."""
