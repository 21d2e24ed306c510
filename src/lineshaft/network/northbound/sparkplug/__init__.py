"""Our own data as a Sparkplug B edge node."""
