"""`WSDiscovery` on the loopback interface only: who answers a probe there. Prints one JSON object."""

import ipaddress
import json
import socket

from wsdiscovery import QName, threaded
from wsdiscovery.discovery import ThreadedWSDiscovery

# The package leaves loopback out; this test must not touch any other network.
threaded._getNetworkAddrs = lambda family: [ipaddress.ip_address("127.0.0.1")] if family == socket.AF_INET else []

finder = ThreadedWSDiscovery()
finder.start()
try:
    kind = QName("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter")
    found = {service.getEPR(): service for service in finder.searchServices(types=[kind], timeout=5)}
finally:
    finder.stop()
print(
    json.dumps(
        {
            epr: {
                "types": [f"{{{kind.getNamespace()}}}{kind.getLocalname()}" for kind in service.getTypes()],
                "scopes": [scope.getValue() for scope in service.getScopes()],
                "addresses": service.getXAddrs(),
            }
            for epr, service in found.items()
        }
    )
)
