"""The role score alone under the supervisor, as `tapewire worker` runs it among the others."""

import asyncio
import sys

from stream.cli.run import role_command, role_environment
from stream.engine.supervisor import supervise
from stream.settings import read_settings

if __name__ == "__main__":
    commands = {"score": role_command("score")}
    sys.exit(asyncio.run(supervise(commands, env=role_environment(read_settings()))))
