"""The command `tapewire`: the one place, beside the roles' agents, that puts parts together."""

from stream.cli.app import main

__all__ = ["main"]
