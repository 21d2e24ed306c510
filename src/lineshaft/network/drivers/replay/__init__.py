"""Replay of a recorded CSV file."""
