"""promotion.yaml, the hops it allows, and the gate."""
