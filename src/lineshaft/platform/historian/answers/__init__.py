"""Answers about the past: readings, aggregates, exports."""
