"""What to ask a Modbus device for, and what is learned about it."""
