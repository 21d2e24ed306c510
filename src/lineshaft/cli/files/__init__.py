"""Verbs that work on the files of a plant, whether it runs or not."""
