"""Role: session times and beats into the tape."""
