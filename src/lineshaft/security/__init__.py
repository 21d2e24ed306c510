"""Who may, who did, who is listening."""
