"""A plant under load whose processes are killed again and again."""
