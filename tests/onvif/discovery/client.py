"""Search with the WSDiscovery package, as a foreign client does: `python client.py ADDRESS SECONDS`.

Prints one line per device found: address, types, scopes, XAddrs, separated by `|`. The package skips loopback on its own,
so the address to search from is given to it.
"""

from __future__ import annotations

import ipaddress
import socket
import sys

import wsdiscovery.threaded
from wsdiscovery import QName
from wsdiscovery.discovery import ThreadedWSDiscovery


def main(address: str, seconds: float) -> None:
    source = ipaddress.ip_address(address)

    def addresses(family: int) -> list[object]:
        return [source] if family == (socket.AF_INET if source.version == 4 else socket.AF_INET6) else []

    wsdiscovery.threaded._getNetworkAddrs = addresses
    search = ThreadedWSDiscovery()
    search.start()
    nvt = QName("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter")
    for service in search.searchServices(types=[nvt], timeout=seconds):
        types = " ".join(f"{{{name.getNamespace()}}}{name.getLocalname()}" for name in service.getTypes())
        scopes = " ".join(scope.getValue() for scope in service.getScopes())
        print(service.getEPR(), types, scopes, " ".join(service.getXAddrs()), sep="|", flush=True)
    search.stop()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
