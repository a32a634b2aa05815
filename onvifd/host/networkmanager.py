"""The host's network by NetworkManager (`nmcli`), which keeps what is changed by itself."""

from __future__ import annotations

import logging
from dataclasses import replace

from onvifd.errors import Conflict, InvalidArgument, Unavailable
from onvifd.host.iproute2 import IpRoute2
from onvifd.host.run import Runner
from onvifd.host.types import Dhcp6, Features, Interface, InterfaceChange, Network, Prefixed

log = logging.getLogger(__name__)

ACTIVATE_SECONDS = 15
_NO_DNS = ("disabled", "ignore", "link-local")
_DHCP6 = {Dhcp6.OFF: "manual", Dhcp6.AUTO: "auto", Dhcp6.STATEFUL: "dhcp"}


class NetworkManager:
    """State is read with `ip`, as everywhere; settings are those of the connection that is active on an interface."""

    def __init__(self, runner: Runner, reader: IpRoute2) -> None:
        self._runner = runner
        self._reader = reader
        self.features = Features(
            configurable=True,
            hostname_from_dhcp=True,
            dhcp=True,
            dhcp6=frozenset(_DHCP6),
            zero_configuration=True,
        )

    # ---- reading -------------------------------------------------------------------------------

    def network(self) -> Network:
        found = self._reader.network()
        interfaces = tuple(self._with_settings(interface) for interface in found.interfaces)
        main = next((self._connection(interface.name) for interface in interfaces if interface.ipv4), None)
        automatic = main is not None and self._get(main, "ipv4.ignore-auto-dns") != "yes"
        return replace(
            found,
            interfaces=interfaces,
            hostname_from_dhcp=not self._runner.run("nmcli", "-g", "static-hostname", "general", "hostname").strip(),
            dns_from_dhcp=automatic and any(interface.dhcp for interface in interfaces),
        )

    def _with_settings(self, interface: Interface) -> Interface:
        connection = self._connection(interface.name)
        if connection is None:
            return interface
        method4, method6 = self._get(connection, "ipv4.method"), self._get(connection, "ipv6.method")
        dhcp6 = {"auto": Dhcp6.AUTO, "dhcp": Dhcp6.STATEFUL}.get(method6, Dhcp6.OFF)
        manual = set(self._addresses(connection, "ipv4"))
        leased = tuple(entry for entry in interface.ipv4 if entry not in manual) if method4 == "auto" else ()
        return replace(
            interface,
            dhcp=method4 == "auto",
            leased=leased,
            ipv4_off=method4 == "disabled",
            ipv6_off=method6 in ("disabled", "ignore"),
            dhcp6=dhcp6,
            accept_ra=method6 == "auto",
        )

    def _connection(self, interface: str) -> str | None:
        """The UUID of the connection that is active on an interface."""
        text = self._runner.run("nmcli", "-g", "GENERAL.CON-UUID", "device", "show", interface)
        return text.strip() or None

    def _get(self, connection: str, key: str) -> str:
        return self._runner.run("nmcli", "-e", "no", "-g", key, "connection", "show", "uuid", connection).strip()

    def _addresses(self, connection: str, family: str) -> tuple[Prefixed, ...]:
        found = []
        for item in self._get(connection, f"{family}.addresses").split(","):
            address, _, bits = item.strip().partition("/")
            if address and bits.isdigit():
                found.append((address, int(bits)))
        return tuple(found)

    # ---- changing ------------------------------------------------------------------------------

    def set_hostname(self, name: str) -> None:
        self._runner.run("nmcli", "general", "hostname", name)

    def set_hostname_from_dhcp(self, wanted: bool) -> None:
        """Without a static name NetworkManager takes the one that DHCP gives."""
        if wanted:
            self._runner.run("nmcli", "general", "hostname", "")
        else:
            self._runner.run("nmcli", "general", "hostname", self._runner.run("uname", "-n").strip())

    def set_dns(self, from_dhcp: bool, search: tuple[str, ...], servers: tuple[str, ...]) -> None:
        managed = [(name, connection, self._families(connection)) for name, connection in self._managed()]
        for family in {_family(server) for server in servers}:
            if not any(family in families for _, _, families in managed):
                raise Conflict(f"NetworkManager has no connection with {family} that takes name servers")
        for name, connection, families in managed:
            changes = []
            for family in families:
                own = ",".join(server for server in servers if _family(server) == family)
                changes += [f"{family}.dns", own, f"{family}.ignore-auto-dns", "no" if from_dhcp else "yes"]
            if families:
                self._modify(name, connection, [*changes, f"{families[0]}.dns-search", ",".join(search)])

    def _families(self, connection: str) -> list[str]:
        """Those in which a connection takes name servers: not where it is off or link-local (nm-settings)."""
        return [family for family in ("ipv4", "ipv6") if self._get(connection, f"{family}.method") not in _NO_DNS]

    def set_interface(self, name: str, change: InterfaceChange) -> None:
        if change.enabled is False:
            self._runner.run("nmcli", "device", "disconnect", name, timeout=ACTIVATE_SECONDS)
            return
        if change.enabled and self._connection(name) is None:
            self._runner.run("nmcli", "device", "connect", name, timeout=ACTIVATE_SECONDS)
        connection = self._must(name)
        changes: list[str] = []
        if change.mtu is not None:
            changes += ["802-3-ethernet.mtu", str(change.mtu)]
        if change.link is not None:
            changes += ["802-3-ethernet.auto-negotiate", "yes" if change.link.auto else "no"]
            duplex = "full" if change.link.full_duplex else "half"
            fixed = ("0", "") if change.link.auto else (str(change.link.speed), duplex)
            changes += ["802-3-ethernet.speed", fixed[0], "802-3-ethernet.duplex", fixed[1]]
        changes += self._ipv4_changes(connection, change)
        changes += self._ipv6_changes(connection, change)
        if changes:
            self._modify(name, connection, changes)

    def _ipv4_changes(self, connection: str, change: InterfaceChange) -> list[str]:
        if change.ipv4_enabled is False:
            return ["ipv4.method", "disabled", "ipv4.addresses", "", "ipv4.gateway", ""]
        if change.ipv4_dhcp is None and change.ipv4_manual is None:
            return []
        manual = change.ipv4_manual
        if manual is None:
            manual = () if change.ipv4_dhcp else self._addresses(connection, "ipv4")
        dhcp = self._get(connection, "ipv4.method") == "auto" if change.ipv4_dhcp is None else change.ipv4_dhcp
        if not dhcp and not manual:
            return ["ipv4.method", "link-local", "ipv4.addresses", "", "ipv4.gateway", ""]
        return ["ipv4.method", "auto" if dhcp else "manual", "ipv4.addresses", _list(manual)]

    def _ipv6_changes(self, connection: str, change: InterfaceChange) -> list[str]:
        if change.ipv6_enabled is False:
            return ["ipv6.method", "disabled", "ipv6.addresses", ""]
        wanted = (change.ipv6_dhcp, change.ipv6_manual, change.accept_ra)
        if all(item is None for item in wanted) and not change.ipv6_enabled:
            return []
        manual = self._addresses(connection, "ipv6") if change.ipv6_manual is None else change.ipv6_manual
        method = self._get(connection, "ipv6.method")
        if change.ipv6_dhcp is not None:
            method = _DHCP6[change.ipv6_dhcp]
        if change.accept_ra is not None and method in ("auto", "manual", "link-local", "disabled"):
            method = "auto" if change.accept_ra else "manual"
        if method in ("manual", "link-local"):
            # Addresses beside the link-local one are "manual", and that must have some.
            method = "manual" if manual else "link-local"
        if method == "disabled":
            method = "auto"
        return ["ipv6.method", method, "ipv6.addresses", _list(manual)]

    def set_gateways(self, gateways: tuple[str, ...]) -> None:
        versions = {"ipv6" if ":" in gateway else "ipv4" for gateway in gateways} or {"ipv4", "ipv6"}
        for family in versions:
            own = [gateway for gateway in gateways if (":" in gateway) is (family == "ipv6")]
            if len(own) > 1:
                raise Conflict("NetworkManager has one gateway per family")
            name, connection = next(iter(self._managed()), (None, None))
            if name is None or connection is None:
                raise Unavailable("NetworkManager manages no interface")
            self._modify(name, connection, [f"{family}.gateway", own[0] if own else ""])

    def set_zero_configuration(self, name: str, enabled: bool) -> None:
        self._modify(name, self._must(name), ["ipv4.link-local", "enabled" if enabled else "disabled"])

    def _managed(self) -> list[tuple[str, str]]:
        found = []
        for interface in self._reader.network().interfaces:
            connection = self._connection(interface.name)
            if connection is not None:
                found.append((interface.name, connection))
        return found

    def _must(self, name: str) -> str:
        connection = self._connection(name)
        if connection is None:
            raise InvalidArgument(f"{name} has no active connection.", detail="InvalidNetworkInterface")
        return connection

    def _modify(self, name: str, connection: str, changes: list[str]) -> None:
        self._runner.run("nmcli", "connection", "modify", "uuid", connection, *changes)
        self._runner.run("nmcli", "device", "reapply", name, timeout=ACTIVATE_SECONDS)


def _family(address: str) -> str:
    return "ipv6" if ":" in address else "ipv4"


def _list(entries: tuple[Prefixed, ...]) -> str:
    return ",".join(f"{address}/{bits}" for address, bits in entries)
