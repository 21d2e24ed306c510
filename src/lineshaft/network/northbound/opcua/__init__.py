"""Our own OPC UA server, in which others read and write the namespace."""
