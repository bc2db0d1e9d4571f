"""`tapewire worker --role all` without the clock: the recorded stream brings its own beats."""

import asyncio
import sys

from stream.cli.run import role_command, role_environment
from stream.engine.supervisor import supervise
from stream.settings import read_settings

if __name__ == "__main__":
    roles = ("sentiment", "score", "archive")
    commands = {role: role_command(role) for role in roles}
    for sabotage in sys.argv[1:]:
        commands["score"] = [
            sys.executable,
            "-m",
            "tests.integration.faults.sabotaged",
            sabotage,
            "score",
        ]
    sys.exit(asyncio.run(supervise(commands, env=role_environment(read_settings()))))
