"""HTTPS of a running recorder: zeep configures it with the official contract, openssl judges what it presents."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import zeep
from cryptography import x509
from requests.auth import HTTPDigestAuth

from tests.e2e.conftest import wait_for
from tests.e2e.harness import Recorder
from tests.onvif.oracle import WSDLS, folder
from tests.pki.conftest import OpenSsl

TAS = "http://www.onvif.org/ver10/advancedsecurity/wsdl"
TDS = "http://www.onvif.org/ver10/device/wsdl"
SHA1_RSA = {"algorithm": "1.2.840.113549.1.1.5"}


class Onvif:
    """zeep's view of a running recorder, strict."""

    def __init__(self, recorder: Recorder, base: str, verify: str | bool = True) -> None:
        session = requests.Session()
        session.auth = HTTPDigestAuth(recorder.user, recorder.password)
        session.verify = verify
        session.trust_env = False
        self._transport = zeep.Transport(session=session, timeout=20, operation_timeout=20)
        self.base = base

    def service(self, namespace: str, path: str) -> Any:
        client = zeep.Client(str(folder() / WSDLS[namespace]), transport=self._transport)
        binding = next(iter(client.wsdl.bindings))
        if namespace == TAS:
            # The official contract has one binding for each part of the service.
            return Parts(client, self.base + path)
        return client.create_service(binding, self.base + path)


class Parts:
    """The operations of several bindings behind one address."""

    def __init__(self, client: Any, address: str) -> None:
        self._services = [client.create_service(binding, address) for binding in client.wsdl.bindings]

    def __getattr__(self, name: str) -> Any:
        for service in self._services:
            if name in service._operations:
                return service[name]
        raise AttributeError(name)


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSsl:
    (tmp_path / "openssl").mkdir()
    return OpenSsl(tmp_path / "openssl")


def presented(recorder: Recorder) -> str | None:
    """Subject of the certificate, None while nobody listens."""
    try:
        pem = ssl.get_server_certificate((recorder.host, recorder.https_port), timeout=10)
    except OSError:
        return None
    return x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string()


def until(ask: Callable[[], bool], what: str) -> None:
    wait_for(lambda: True if ask() else None, seconds=20, what=what)


@pytest.mark.covers("SEC-06", "SEC-13", "A039")
def test_a_vms_configures_https(own_recorder: Recorder, openssl: OpenSsl) -> None:
    recorder = own_recorder
    recorder.start()
    http = f"http://{recorder.host}:{recorder.http_port}"
    onvif = Onvif(recorder, http)
    security = onvif.service(TAS, "/onvif/security_service")
    device = onvif.service(TDS, "/onvif/device_service")
    assert TAS in [item.Namespace for item in device.GetServices(IncludeCapability=True)]
    assert "TLSServerConfiguration" in device.GetServiceCapabilities().System.Addons

    # What a person does first: import the authority.
    trusted = openssl.folder / "recorder.pem"
    trusted.write_bytes(urllib.request.urlopen(f"{http}/certificate/ca.pem", timeout=10).read())
    https = f"https://{recorder.host}:{recorder.https_port}"
    assert requests.get(f"{https}/certificate/ca.crt", verify=str(trusted), timeout=10).status_code == 200
    own = presented(recorder)

    # ADVANCED_SECURITY-3-1-2: key on the recorder, certificate of an authority outside.
    key = security.CreateRSAKeyPair(KeyLength=2048, Alias="ONVIF_Test").KeyID
    until(lambda: security.GetKeyStatus(KeyID=key) == "ok", "key")
    subject = {"Country": ["US"], "CommonName": [recorder.host]}
    csr = security.CreatePKCS10CSR(Subject=subject, KeyID=key, SignatureAlgorithm=SHA1_RSA)
    (openssl.folder / "dut.csr").write_bytes(openssl("req", "-inform", "DER", data=csr))
    openssl.root(digest="-sha1")
    openssl.sign("dut", digest="-sha1", extensions=f"subjectAltName=IP:{recorder.host}")
    with requests.Session() as session:
        # The connection stands while the certificate changes.
        session.verify = str(trusted)
        session.trust_env = False
        session.get(f"{https}/certificate/ca.crt", timeout=10)
        leaf = security.UploadCertificate(Certificate=openssl.der("dut"), PrivateKeyRequired=True)
        assert leaf.KeyID == key
        ca = security.UploadCertificate(Certificate=openssl.der("ca"), PrivateKeyRequired=False)
        path = security.CreateCertificationPath(
            CertificateIDs={"CertificateID": [leaf.CertificateID, ca.CertificateID]}, Alias="mine"
        )
        security.AddServerCertificateAssignment(CertificationPathID=path)
        assert presented(recorder) == f"CN={recorder.host},C=US"
        assert session.get(f"{https}/certificate/ca.crt", timeout=10).status_code == 200
    assert path in security.GetAssignedServerCertificates()

    # 4-1-1: HTTPS off, assignment gone, HTTPS on again.
    with pytest.raises(zeep.exceptions.Fault) as fault:
        security.RemoveServerCertificateAssignment(CertificationPathID=path)
    assert fault.value.subcodes[-1].localname == "ReferenceExists"
    https_port = {"Name": "HTTPS", "Enabled": False, "Port": [recorder.https_port]}
    device.SetNetworkProtocols(NetworkProtocols=[https_port])
    until(lambda: presented(recorder) is None, "end of HTTPS")
    security.RemoveServerCertificateAssignment(CertificationPathID=path)
    device.SetNetworkProtocols(NetworkProtocols=[{**https_port, "Enabled": True}])
    until(lambda: presented(recorder) == own, "certificate of the recorder")

    # HTTPS in the place of HTTP.
    secure = Onvif(recorder, https, str(trusted))
    device = secure.service(TDS, "/onvif/device_service")
    http_port = {"Name": "HTTP", "Enabled": False, "Port": [recorder.http_port]}
    device.SetNetworkProtocols(NetworkProtocols=[http_port])
    with pytest.raises(requests.ConnectionError):
        requests.get(http, timeout=5)
    addresses = [item.XAddr for item in device.GetServices(IncludeCapability=False)]
    assert all(address.startswith(f"{https}/onvif/") for address in addresses)
    recorder.stop()
    assert "PRIVATE KEY" not in recorder.log()


def test_clients_without_a_certificate_see_an_alert(own_recorder: Recorder, openssl: OpenSsl) -> None:
    recorder = own_recorder
    recorder.start()
    onvif = Onvif(recorder, f"http://{recorder.host}:{recorder.http_port}")
    security = onvif.service(TAS, "/onvif/security_service")
    openssl.root()
    openssl.issue("client")
    anchor = security.UploadCertificate(Certificate=openssl.der("ca")).CertificateID
    policy = security.CreateCertPathValidationPolicy(
        Parameters={"UseDeltaCRLs": True}, TrustAnchor=[{"CertificateID": anchor}]
    )
    security.AddCertPathValidationPolicyAssignment(CertPathValidationPolicyID=policy)
    security.SetClientAuthenticationRequired(clientAuthenticationRequired=True)
    assert "alert" in s_client(recorder, openssl, "-tls1_2")
    assert "alert" in s_client(recorder, openssl, "-tls1_3")
    assert "alert" not in s_client(recorder, openssl, "-tls1_3", "-cert", "client.pem", "-key", "client.key")
    assert "alert protocol version" in s_client(recorder, openssl, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    recorder.stop()


def s_client(recorder: Recorder, openssl: OpenSsl, *options: str) -> str:
    """What openssl says of a request and its answer."""
    process = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"{recorder.host}:{recorder.https_port}", *options],
        cwd=openssl.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(b"GET /certificate/ca.pem HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        process.stdin.flush()
    time.sleep(1)  # openssl ends with its input, before the answer is there
    output, _ = process.communicate(timeout=20)
    return output.decode(errors="replace")
