"""Role: what each feature added to an actionable signal, off the scoring path."""
