"""One module an action: read inputs, decide (core), act (adapters), write outputs."""
