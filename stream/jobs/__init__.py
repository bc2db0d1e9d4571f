"""Jobs at set times: one leader, each run a child process and a row."""
