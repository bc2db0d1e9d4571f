"""Text to probabilities, behind one protocol."""
