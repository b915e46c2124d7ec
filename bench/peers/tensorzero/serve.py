"""The tensorzero wheel carries the Rust gateway and can open its HTTP port from Python."""

import sys
import time

from tensorzero.tensorzero import _start_http_gateway

gw = _start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
print("BASE_URL", gw.base_url, flush=True)
while True:
    time.sleep(3600)
