"""Images: names and labels, what one is made of, how buildx is asked, and how a result is tested."""
