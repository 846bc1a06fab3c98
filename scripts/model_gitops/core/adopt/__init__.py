"""How an existing DVC repository comes into the flow: what is there → what is to be written."""
