"""The live stream: what happens now, told to every page that looks in."""
