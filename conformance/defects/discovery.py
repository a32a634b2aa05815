"""Defects of discovery: what the responder does wrong."""

from __future__ import annotations

from conformance.defects.model import Defect, add

for _name, _what, _case in (
    ("wrong-relates-to", "ProbeMatches relates to another message than the Probe", "DISCOVERY-1-1-4"),
    ("wrong-types", "ProbeMatches has other Types", "DISCOVERY-1-1-4"),
    ("no-xaddrs", "ProbeMatches has no XAddrs", "DISCOVERY-1-1-3"),
    ("everything-matches", "a Probe for foreign types and scopes is answered", "DISCOVERY-1-1-5"),
    ("unicast-ignored", "a Probe that is not sent to the group is not answered", "DISCOVERY-1-1-6"),
    ("any-rule", "a matching rule that is not known is taken for the usual one", "DISCOVERY-1-1-10"),
    ("wrong-rule-fault", "a matching rule that is not known is refused with another subcode", "DISCOVERY-1-1-10"),
    ("no-hello", "there is no Hello when scopes have changed", "DISCOVERY-1-1-11"),
    ("stuck-version", "MetadataVersion stays when scopes have changed", "DISCOVERY-1-1-11"),
    ("prefix-bound", "a Probe is understood only with the usual prefixes", "DISCOVERY-2-1-3"),
    ("no-bye", "there is no Bye before a restart", "DISCOVERY-1-1-8"),
    ("hello-without-scopes", "Hello has no Scopes", "DISCOVERY-1-1-2"),
    ("still-answers", "probes are answered in the mode NonDiscoverable", "DISCOVERY-1-1-9"),
    ("restless", "Hello and Bye are sent in the mode NonDiscoverable", "DISCOVERY-1-1-9"),
):
    add(Defect(f"discovery-{_name}", _what, _case, discovery=_name))
