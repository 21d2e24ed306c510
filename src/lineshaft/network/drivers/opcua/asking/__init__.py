"""What a server does when it is asked: browsing, writing, calling."""
