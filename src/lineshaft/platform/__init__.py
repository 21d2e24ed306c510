"""What the plant knows."""
