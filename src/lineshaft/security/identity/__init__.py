"""Who machines, services and gateways are: certificates of the plant itself."""
