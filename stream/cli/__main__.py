"""`python -m stream.cli`: how the supervisor starts a role."""

from stream.cli.app import main

main()
