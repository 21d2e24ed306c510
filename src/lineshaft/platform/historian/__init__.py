"""Keeps every reading and answers questions about the past."""
