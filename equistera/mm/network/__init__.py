"""The network: its layers, weights and optimiser."""
