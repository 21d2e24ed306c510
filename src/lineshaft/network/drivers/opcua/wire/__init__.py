"""The bytes of OPC UA messages."""
