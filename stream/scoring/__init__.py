"""Role: tape and sentiment in, signals out."""
