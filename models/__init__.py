"""Inference only: artifacts, scorers and the registry that holds them."""
