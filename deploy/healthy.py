"""Health check of a container: exit code 0 when a role or the scheduler here serves its metrics."""

import os
import sys
import urllib.request

_PORTS = 7  # a role takes the first metrics port plus its number, the scheduler the next


def main() -> int:
    """0 when any role answers, else 1."""
    first = int(os.environ["TAPEWIRE_METRICS_PORT"])
    for port in range(first, first + _PORTS):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
                if b"tapewire_" in answer.read():
                    return 0
        except OSError:
            continue
    return 1


if __name__ == "__main__":
    sys.exit(main())
