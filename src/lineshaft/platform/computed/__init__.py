"""Points that are computed from other points."""
