"""What people are told, and how a message to them is made."""
