"""The keystore on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onvifd.errors import Conflict
from onvifd.store.catalogue import Catalogue
from onvifd.store.security import (
    CertificateRow,
    CrlRow,
    KeyRow,
    PassphraseRow,
    PathRow,
    PolicyRow,
    SecurityState,
    TlsRow,
)


def full() -> SecurityState:
    keys = {
        name: KeyRow(
            id=name,
            alias=None,
            algorithm="RSA",
            size="3072",
            status="ok",
            public=b"p",
            private=b"s",
            external=False,
            created=1,
        )
        for name in ("key-1", "key-2")
    }
    certificates = {
        name: CertificateRow(id=name, alias="A", key="key-1", content=b"x", role="", created=at)
        for at, name in enumerate(("cert-2", "cert-1", "cert-3"))
    }
    return SecurityState(
        keys=keys,
        certificates=certificates,
        paths={"path-1": PathRow(id="path-1", alias="P", certificates=("cert-1", "cert-2"), created=3)},
        passphrases={"pass-1": PassphraseRow(id="pass-1", alias=None, secret=b"q", created=4)},
        crls={"crl-1": CrlRow(id="crl-1", alias="", content=b"c", created=5)},
        policies={
            "policy-1": PolicyRow(
                id="policy-1", alias=None, client_usage=True, deltas=True, anchors=("cert-2", "cert-1"), created=6
            )
        },
        tls=TlsRow(paths=("path-1",), policies=("policy-1",), versions=("1.3",), client_authentication=True),
    )


def test_everything_is_read_back_in_order(catalogue: Catalogue) -> None:
    assert catalogue.security.load() == SecurityState()
    catalogue.security.edit(lambda state: full())
    found = catalogue.security.load()
    assert found == full()
    assert list(found.certificates) == ["cert-2", "cert-1", "cert-3"]


def test_changes_touch_what_changed_and_bump_the_revision(catalogue: Catalogue) -> None:
    catalogue.security.edit(lambda state: full())
    revision = catalogue.revision()
    catalogue.security.edit(lambda state: state)
    assert catalogue.revision() == revision

    def shrink(state: SecurityState) -> SecurityState:
        path = replace(state.paths["path-1"], certificates=("cert-3",))
        return replace(
            state,
            keys={"key-1": state.keys["key-1"]},
            paths={"path-1": path, "path-2": replace(path, id="path-2", created=9)},
            crls={},
            policies={},
            tls=TlsRow(paths=("path-2", "path-1")),
        )

    changed = catalogue.security.edit(shrink)
    assert catalogue.security.load() == changed
    assert catalogue.revision() == revision + 1


def test_a_refusal_changes_nothing(catalogue: Catalogue) -> None:
    catalogue.security.edit(lambda state: full())

    def refuse(state: SecurityState) -> SecurityState:
        raise Conflict("no")

    with pytest.raises(Conflict):
        catalogue.security.edit(refuse)
    assert catalogue.security.load() == full()
