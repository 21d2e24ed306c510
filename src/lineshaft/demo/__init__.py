"""A demonstration plant of real protocol servers."""
