"""What a server says by itself."""
