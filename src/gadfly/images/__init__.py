"""Where pictures come from: folders, the annotations beside them, and how they are split. Knows nothing of models."""
