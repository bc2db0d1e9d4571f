"""Role: articles in, one score a symbol out."""
