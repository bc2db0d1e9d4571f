"""The command `tapewire`: the one place, beside the roles' agents, that puts parts together."""


def main() -> None:
    """Run the command line."""
    from stream.cli.app import main as run  # a role's process imports this package, but no verb

    run()


__all__ = ["main"]
