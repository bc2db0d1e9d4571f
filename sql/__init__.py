"""The database schema: numbered files, each re-runnable, applied by `stream.archive.migrate`."""
