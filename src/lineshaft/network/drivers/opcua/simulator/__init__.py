"""A press line with an OPC UA server, as a process of its own."""

from lineshaft.network.drivers.opcua.simulator.press import point_list, values_at

__all__ = ["point_list", "values_at"]
