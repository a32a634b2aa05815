"""Namespaces on the wire and the stable prefixes we write them with."""

from __future__ import annotations

from typing import Final

SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
SOAP11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
TER: Final = "http://www.onvif.org/ver10/error"
TNS1: Final = "http://www.onvif.org/ver10/topics"
TT: Final = "http://www.onvif.org/ver10/schema"
TDS: Final = "http://www.onvif.org/ver10/device/wsdl"
TRT: Final = "http://www.onvif.org/ver10/media/wsdl"
TR2: Final = "http://www.onvif.org/ver20/media/wsdl"
TEV: Final = "http://www.onvif.org/ver10/events/wsdl"
TRC: Final = "http://www.onvif.org/ver10/recording/wsdl"
TSE: Final = "http://www.onvif.org/ver10/search/wsdl"
TRP: Final = "http://www.onvif.org/ver10/replay/wsdl"
TRV: Final = "http://www.onvif.org/ver10/receiver/wsdl"
TMD: Final = "http://www.onvif.org/ver10/deviceIO/wsdl"
TIMG: Final = "http://www.onvif.org/ver20/imaging/wsdl"
TPTZ: Final = "http://www.onvif.org/ver20/ptz/wsdl"
TAS: Final = "http://www.onvif.org/ver10/advancedsecurity/wsdl"
WSNT: Final = "http://docs.oasis-open.org/wsn/b-2"
WSTOP: Final = "http://docs.oasis-open.org/wsn/t-1"
WSRF_BF: Final = "http://docs.oasis-open.org/wsrf/bf-2"
WSRF_R: Final = "http://docs.oasis-open.org/wsrf/r-2"
WSA: Final = "http://www.w3.org/2005/08/addressing"
WSA_2004: Final = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
XMIME: Final = "http://www.w3.org/2005/05/xmlmime"
XOP: Final = "http://www.w3.org/2004/08/xop/include"
XML: Final = "http://www.w3.org/XML/1998/namespace"
XS: Final = "http://www.w3.org/2001/XMLSchema"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"

PREFIXES: Final[dict[str, str]] = {
    "SOAP-ENV": SOAP,
    "ter": TER,
    "tt": TT,
    "tds": TDS,
    "trt": TRT,
    "tr2": TR2,
    "tev": TEV,
    "trc": TRC,
    "tse": TSE,
    "trp": TRP,
    "trv": TRV,
    "tmd": TMD,
    "timg": TIMG,
    "tptz": TPTZ,
    "tas": TAS,
    "wsnt": WSNT,
    "wstop": WSTOP,
    "wsrf-bf": WSRF_BF,
    "wsa5": WSA,
    "xmime": XMIME,
    "xop": XOP,
    "xsi": XSI,
    "xs": XS,
    "tns1": TNS1,
}
"""Prefix to namespace, declared on every envelope we send: clients that match on prefixes meet what gSOAP devices write."""
