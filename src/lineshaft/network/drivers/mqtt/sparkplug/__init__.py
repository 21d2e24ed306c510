"""Sparkplug B 3.0: payloads, and the state of a host application."""
