"""Pure decisions: values in, values out. No disk, network, process, clock or environment."""
