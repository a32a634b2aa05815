"""`python -m conformance.defects --list` and `python -m conformance.defects URL --user U --password P --defect NAME`"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence

from conformance.defects import load
from conformance.defects.model import DEFECTS
from conformance.defects.proxy import Proxy


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m conformance.defects",
        description="Stand in front of a device and do one thing wrong, to see the examiner find it.",
    )
    parser.add_argument("url", nargs="?", default="", help="address of the device service")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default=None, help="default: the environment variable CONFORMANCE_PASSWORD")
    parser.add_argument("--defect", default="", help="what to do wrong; without it the proxy is faithful")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", type=int, default=0, help="port to listen at")
    parser.add_argument("--discovery-port", type=int, default=0, help="port for WS-Discovery; 0: none")
    parser.add_argument("--list", action="store_true", help="list the defects and the cases that must find them")
    options = parser.parse_args(arguments)
    load()
    if options.list:
        for each in DEFECTS.values():
            print(f"{each.name:<36} {each.case:<24} {each.what}")
        return 0
    if not options.url or (options.defect and options.defect not in DEFECTS):
        print("give the address of a device, and the name of a defect that --list knows", file=sys.stderr)
        return 2
    password = options.password if options.password is not None else os.environ.get("CONFORMANCE_PASSWORD", "")
    proxy = Proxy(options.url, options.user, password, options.host, options.port, options.discovery_port)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(proxy, options.defect))
    return 0


async def _serve(proxy: Proxy, name: str) -> None:
    async with proxy:
        proxy.seed(DEFECTS[name] if name else None)
        print(f"ready {proxy.url} {name or 'without a defect'}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
