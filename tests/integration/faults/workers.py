"""`tapewire worker --role all` without the clock: the recorded stream brings its own beats."""

import asyncio
import sys

from stream.cli.run import role_command
from stream.engine.supervisor import supervise

if __name__ == "__main__":
    roles = ("sentiment", "score", "archive")
    sys.exit(asyncio.run(supervise({role: role_command(role) for role in roles})))
