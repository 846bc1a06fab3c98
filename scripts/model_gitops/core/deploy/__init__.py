"""The deploy repository: kustomizations, and the commits that change them."""
