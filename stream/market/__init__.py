"""Role: all symbols together, interval by interval."""
