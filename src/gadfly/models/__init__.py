"""Things that complete chats: local checkpoints, scripted doubles, and wrappers round them. Knows nothing of roles."""
