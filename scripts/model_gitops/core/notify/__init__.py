"""What people are told of a model's life, in words and as signed JSON."""
