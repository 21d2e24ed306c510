"""Lineshaft: the open industrial internet in one Python package."""
