"""Output of the namespace to programs above the plant: SCADA, MES, brokers."""
