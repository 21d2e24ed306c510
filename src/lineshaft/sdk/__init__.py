"""What app writers import."""
