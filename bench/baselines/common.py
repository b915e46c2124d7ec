"""What every baseline shares: ports, the two keys and the fixed route."""

import os

PORT = int(os.environ["PORT"])
UPSTREAM_PORT = int(os.environ["UPSTREAM_PORT"])
KEY = os.environ.get("GATEWAY_KEY", "sk-bench-1234")
UPSTREAM_KEY = os.environ.get("UPSTREAM_KEY", "sk-upstream")
UPSTREAM = f"http://127.0.0.1:{UPSTREAM_PORT}/v1/chat/completions"
