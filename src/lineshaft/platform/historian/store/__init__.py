"""The durable store: a Delta Lake table, and its care."""
