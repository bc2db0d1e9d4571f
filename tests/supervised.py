"""Some roles under the supervisor, as `tapewire worker` runs all: `-m tests.supervised score`.

A role may be given as ROLE=KIND: the worker that `tests.integration.faults.sabotaged` breaks so.
"""

import asyncio
import sys

from stream.cli.role import role_command, role_environment, spare_commands
from stream.engine.supervisor import supervise
from stream.settings import read_settings


def command(given: str) -> list[str]:
    role, _, sabotage = given.partition("=")
    if not sabotage:
        return role_command(role)
    return [sys.executable, "-m", "tests.integration.faults.sabotaged", sabotage, role]


if __name__ == "__main__":
    commands = {given.partition("=")[0]: command(given) for given in sys.argv[1:]}
    spares = spare_commands([given for given in sys.argv[1:] if "=" not in given])
    env = role_environment(read_settings())
    sys.exit(asyncio.run(supervise(commands, spares=spares, env=env)))
