"""A broker, PostgreSQL and Valkey for one machine, from pip alone."""
