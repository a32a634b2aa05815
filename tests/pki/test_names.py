from __future__ import annotations

import pytest
from cryptography import x509

from onvifd.errors import InvalidArgument
from onvifd.pki import der, names


def read(*rdns: names.Rdn) -> str:
    made = names.encode_name(rdns)
    assert der.parse(made).whole == made
    found: list[str] = []
    for rdn in der.parse(made).children():
        found.append("+".join(attribute.children()[1].content.decode() for attribute in rdn.children()))
    return "/".join(found)


def test_types_with_an_encoding_of_their_own_get_it() -> None:
    country, common = der.parse(
        names.encode_name([((names.COUNTRY, "US"),), ((names.COMMON_NAME, "Müller"),)])
    ).children()
    assert country.children()[0].children()[1].tag == names.PRINTABLE_STRING
    assert common.children()[0].children()[1].tag == names.UTF8_STRING


def test_short_names_and_identifiers_are_types() -> None:
    assert read((("CN", "a"),), (("2.5.4.10", "b"),), (("dc", "c"), ("ou", "d"))) == "a/b/d+c"


def test_a_value_in_hexadecimal_form_is_taken_as_it_is() -> None:
    made = names.encode_name([((names.COMMON_NAME, "#0c024869"),)])
    assert der.write(0x0C, b"Hi") in made


@pytest.mark.parametrize(
    "rdns",
    [
        [],
        [()],
        [((names.COUNTRY, "USA"),)],
        [((names.COMMON_NAME, ""),)],
        [((names.COMMON_NAME, "x" * 65),)],
        [(("string", "x"),)],
        [((names.SERIAL_NUMBER, "Ü"),)],
        [((names.COMMON_NAME, "#zz"),)],
        [((names.COMMON_NAME, "#0201ff"),)],
        [((names.COMMON_NAME, "x"),)] * 65,
        [(("9.9.9", "x"),)],
    ],
)
def test_names_that_cannot_be_are_refused(rdns: list[names.Rdn]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        names.encode_name(rdns)
    assert caught.value.detail == "InvalidSubject"


def test_the_common_name_is_the_last_one() -> None:
    name = x509.Name.from_rfc4514_string("CN=b,O=x,CN=a")
    assert names.common_name(name) == "b"
    assert names.common_name(x509.Name([])) == ""
