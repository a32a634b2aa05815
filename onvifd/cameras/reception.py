"""How a stream is received, as a person sets it: what may be stored."""

from __future__ import annotations

from dataclasses import replace

from onvifd.cameras.quirks import parse_quirks
from onvifd.errors import InvalidArgument
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import Judge, parse_pin
from onvifd.store.receptions import ReceptionRow


def changed(
    row: ReceptionRow,
    *,
    transport: str | None = None,
    tunnel_port: int | None = None,
    trust: str | None = None,
    pin: str | None = None,
    on_demand: bool | None = None,
    quirks: tuple[str, ...] | None = None,
) -> ReceptionRow:
    """A row with what is given, checked. Another way of trust forgets the pin. Raises InvalidArgument."""
    if transport is not None:
        row = replace(row, transport=_one_of(Way, transport, "transport"), found=False)
    if tunnel_port is not None:
        if not 0 <= tunnel_port <= 65535:
            raise InvalidArgument("the port of a tunnel is 1 to 65535, or 0 for the usual one")
        row = replace(row, tunnel_port=tunnel_port)
    if trust is not None:
        judge = _one_of(Judge, trust, "trust")
        row = replace(row, trust=judge, pin=row.pin if judge == row.trust else "")
    if pin is not None:
        row = replace(row, pin=parse_pin(pin))
    if on_demand is not None:
        row = replace(row, on_demand=on_demand)
    if quirks is not None:
        row = replace(row, quirks=" ".join(sorted(parse_quirks(quirks))))
    return row


def _one_of(kind: type[Way] | type[Judge], value: str, what: str) -> str:
    try:
        return kind(value.strip().lower()).value
    except ValueError:
        raise InvalidArgument(f"{what} is one of {', '.join(kind)}") from None
