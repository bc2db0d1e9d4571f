"""Recorded and synthetic markets, and the loader that replays them."""
