"""`make demo-life`: what comes after the merge, told as one story on one machine."""
