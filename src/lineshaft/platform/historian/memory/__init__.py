"""The recent past in memory: what is not committed yet, and what was not long ago."""
