"""An installation held against IEC 62443-3-3: what is met is seen, never asserted."""
