"""Whether what a live model sees has moved away from what it was trained on."""
