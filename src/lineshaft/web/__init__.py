"""Where people and programs look in."""
