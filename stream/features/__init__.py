"""Pure event-time feature maths: standard library and the event library only."""
