"""Faust made fast and safe: chunks, transactions, checkpoints."""
