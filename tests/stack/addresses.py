"""Where the real servers are, for what runs outside pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def addresses() -> dict[str, str]:
    """TAPEWIRE_BROKER, TAPEWIRE_DATABASE and TAPEWIRE_REDIS; starts what is not up."""
    done = subprocess.run(
        [str(Path(__file__).with_name("stack.sh")), "start"],
        env={**os.environ, "STACK_PYTHON": sys.executable},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = (line.partition("=") for line in done.stdout.splitlines() if "=" in line)
    return {name: value for name, _, value in lines}
