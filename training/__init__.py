"""Stored history to a judged artifact."""
