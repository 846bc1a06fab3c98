"""GTO's tags: which versions and stages there are, and what a registration writes."""
