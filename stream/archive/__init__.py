"""Role: every topic into SQL, exactly once."""
