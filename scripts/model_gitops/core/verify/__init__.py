"""What a deployment is verified by: the digest that runs, integration, load, champion against candidate."""
