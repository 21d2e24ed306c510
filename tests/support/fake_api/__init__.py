"""A small plant behind the HTTP API, to try the page without the rest."""
