"""A process that owns embedded services: prints their addresses, ends when its input does."""

import json
import sys
from pathlib import Path

from stream.embedded.services import start_embedded

with start_embedded(Path(sys.argv[1])) as services:
    print(json.dumps(services.environment()), flush=True)
    sys.stdin.read()
