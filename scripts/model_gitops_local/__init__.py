"""The whole flow on one machine: engine, registry, a stand-in for the forge, and act."""
