"""What keeps a history in order for years: see docs/decisions/0010-care.md."""
