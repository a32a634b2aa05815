"""`python -m conformance URL --user U --password P`"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from conformance import report, schema
from conformance.model import Failure, Outcome, Settings, Verdict
from conformance.profiles import PROFILES
from conformance.runner import Result, examine, select

HOLDS, FAILS, UNUSABLE = 0, 1, 2
"""Exit statuses: every examined profile holds; one does not or a case failed; the examination could not begin."""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m conformance", description="Run the official ONVIF device test cases."
    )
    made.add_argument(
        "url", nargs="?", default="", help="address of the device service: http://HOST/onvif/device_service"
    )
    made.add_argument("--user", default="")
    made.add_argument("--password", default=None, help="default: the environment variable CONFORMANCE_PASSWORD")
    made.add_argument(
        "--profiles", default="", help="profiles to judge, such as S,G,T; default: those the device claims"
    )
    made.add_argument(
        "--only", action="append", default=[], metavar="ID", help="only this case; EVENT-* for many; repeatable"
    )
    made.add_argument(
        "--document", action="append", default=[], help="only the cases of this specification, such as Base"
    )
    made.add_argument(
        "--report", type=Path, default=None, metavar="DIR", help="write report.html and report.json there"
    )
    made.add_argument(
        "--destructive",
        action="store_true",
        help="also reboot, reset, change addresses and delete recordings of a full device",
    )
    made.add_argument(
        "--interface", default="", help="own address for discovery; default: the one that leads to the device"
    )
    made.add_argument("--equipment", default="", help="what the network has for the device to use: dhcpv4,dhcpv6,ra")
    made.add_argument("--ntp-server", default="", metavar="IPV4", help="time server for the cases that need one")
    made.add_argument("--firmware", default="", metavar="FILE", help="firmware that the device accepts")
    made.add_argument("--spare-address", default="", metavar="IPV4", help="address that the device may take")
    made.add_argument(
        "--recording", default="", metavar="TOKEN", help="recording for search and replay; default: the longest"
    )
    made.add_argument(
        "--metadata-filter", default="boolean(//*)", metavar="XPATH", help="selects metadata which that recording holds"
    )
    made.add_argument("--discovery-timeout", type=float, default=5.0, metavar="S")
    made.add_argument("--message-timeout", type=float, default=10.0, metavar="S")
    made.add_argument("--operation-delay", type=float, default=2.0, metavar="S")
    made.add_argument("--reboot-timeout", type=float, default=120.0, metavar="S")
    made.add_argument("--case-timeout", type=float, default=120.0, metavar="S")
    made.add_argument("--list", action="store_true", help="list the cases and end")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    chosen = select(options.only, options.document)
    if options.list:
        for each in chosen:
            print(f"{each.id:<28} {each.document:<14} {each.name}")
        return HOLDS
    profiles = [each.strip().upper() for each in options.profiles.split(",") if each.strip()]
    trouble = ""
    if urlsplit(options.url).scheme not in ("http", "https") or not urlsplit(options.url).hostname:
        trouble = "give the address of the device service: http://HOST/onvif/device_service"
    elif unknown := [each for each in profiles if each not in PROFILES]:
        trouble = f"unknown profiles: {', '.join(unknown)}; there are {', '.join(PROFILES)}"
    elif not chosen:
        trouble = f"no case is called {', '.join(options.only) or 'so'}"
    if trouble:
        print(trouble, file=sys.stderr)
        return UNUSABLE
    password = options.password if options.password is not None else os.environ.get("CONFORMANCE_PASSWORD", "")
    settings = Settings(
        options.url,
        options.user,
        password,
        destructive=options.destructive,
        message_timeout=options.message_timeout,
        operation_delay=options.operation_delay,
        reboot_timeout=options.reboot_timeout,
        case_timeout=options.case_timeout,
        discovery_timeout=options.discovery_timeout,
        interface=options.interface,
        equipment=frozenset(each.strip() for each in options.equipment.split(",") if each.strip()),
        ntp_server=options.ntp_server,
        firmware=options.firmware,
        spare_address=options.spare_address,
        recording=options.recording,
        metadata_filter=options.metadata_filter,
    )
    try:
        schema.official_schema()
        result = asyncio.run(examine(settings, chosen, profiles=profiles, progress=show))
    except (Failure, schema.SchemasMissing) as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    summarize(result)
    if options.report is not None:
        report.write(result, options.report)
        print(f"report: {options.report / 'report.html'}")
    return HOLDS if result.holds else FAILS


def show(outcome: Outcome) -> None:
    why = f": {outcome.why}" if outcome.why else ""
    print(f"{outcome.verdict:<14} {outcome.case.id:<24} {outcome.case.name} ({outcome.seconds:.1f} s){why}", flush=True)


def summarize(result: Result) -> None:
    counts = Counter(each.verdict for each in result.outcomes)
    print("\n" + ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict))
    for each in result.profiles:
        if each.examined:
            state = "holds" if each.holds else "does not hold" if each.claimed else "is not claimed"
            missing = f"; missing: {', '.join(each.missing)}" if each.missing else ""
            print(f"Profile {each.profile} {state}{missing}")
