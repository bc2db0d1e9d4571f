"""Articles and ticks in, explained signals out."""
