"""Modbus RTU: several units on one line, over a serial port or through TCP."""
