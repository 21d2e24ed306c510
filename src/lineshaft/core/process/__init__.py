"""Programs, ports and tasks: what runs, beside what."""
