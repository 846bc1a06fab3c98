"""The lineage: facts, the links between them, and how both are shown."""
