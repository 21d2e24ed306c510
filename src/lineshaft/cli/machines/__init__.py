"""What is done with one machine: find it, add it, find out what is wrong."""
