"""`python -m conformance.defects --list`, or in front of a device: `URL --user U --password P --defect NAME`, or `--prove`"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from conformance.defects import load
from conformance.defects.model import DEFECTS, Defect
from conformance.defects.prove import Proof, prove
from conformance.defects.proxy import Proxy
from conformance.model import Settings


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
    parser.add_argument("--prove", action="store_true", help="run the case of each defect without and with it")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="prove only this defect; repeatable"
    )
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write what was proved there")
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
    if options.prove:
        chosen = [each for name, each in DEFECTS.items() if not options.only or name in options.only]
        return asyncio.run(_prove(proxy, chosen, options.json))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(proxy, options.defect))
    return 0


async def _prove(proxy: Proxy, chosen: Sequence[Defect], file: Path | None) -> int:
    async with proxy:
        settings = Settings(
            proxy.url,
            proxy.user,
            proxy.password,
            destructive=True,
            message_timeout=6.0,
            operation_delay=0.5,
            discovery_timeout=1.0,
            reboot_timeout=5.0,
            case_timeout=60.0,
        )
        proofs = await prove(proxy, settings, chosen, lambda proof: print(_line(proof), flush=True))
    if file is not None:
        listed = [
            {"defect": each.defect.name, "case": each.defect.case, "verdict": each.verdict, "why": each.why}
            for each in proofs
        ]
        await asyncio.to_thread(file.write_text, json.dumps(listed, indent=1), "utf-8")
    wrong = [each for each in proofs if each.verdict not in ("CAUGHT", "NOT APPLICABLE", "NOT RUN")]
    print(f"{sum(each.verdict == 'CAUGHT' for each in proofs)} caught, {len(wrong)} not")
    return 1 if wrong else 0


def _line(proof: Proof) -> str:
    return f"{proof.verdict:<14} {proof.defect.name:<36} {proof.defect.case}: {proof.why}"


async def _serve(proxy: Proxy, name: str) -> None:
    async with proxy:
        proxy.seed(DEFECTS[name] if name else None)
        print(f"ready {proxy.url} {name or 'without a defect'}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
