from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from onvifd.errors import BadInput, InvalidArgument
from onvifd.onvif.soap.codec import Form, decode, encode, encode_bytes, plan_of, prefixed_to_clark, tag_of
from onvifd.onvif.types import tds, tev, tr2, trc, trt, tse, tt, wsnt
from tests.onvif.soap import samples

TRT = "http://www.onvif.org/ver10/media/wsdl"
TT = "http://www.onvif.org/ver10/schema"


def read(cls: type, xml: str, *, lenient: bool = False) -> Any:
    return decode(cls, etree.fromstring(xml), lenient=lenient)


@pytest.mark.parametrize("optional", [False, True], ids=["mandatory parts", "all parts"])
def test_every_message_is_valid_and_reads_back(optional: bool, official_schema: etree.XMLSchema) -> None:
    valid = 0
    for cls in samples.messages():
        value = samples.sample(cls, optional=optional)
        root = etree.fromstring(encode_bytes(value))
        again = decode(cls, root)
        assert etree.tostring(encode(again)) == etree.tostring(encode(value)), cls
        if not official_schema.validate(root):
            reason = official_schema.error_log[0].message
            # Types that no global element has are covered by the messages that use them.
            assert "No matching global" in reason, f"{cls}: {reason}"
        else:
            valid += 1
    assert valid > 700


def strategy(cls: type, depth: int = 4) -> st.SearchStrategy[Any]:
    """Any object of a type, without open content."""
    parts: dict[str, st.SearchStrategy[Any]] = {}
    for field in plan_of(cls).fields:
        if field.spec.kind == "any" or (field.hint is etree._Element):
            continue
        if not field.required and depth <= 0:
            continue
        if field.plan is not None:
            item = strategy(field.hint, depth - 1)
        elif field.spec.form is Form.DATETIME:
            item = st.integers(min_value=0, max_value=4_102_444_800_000_000)
        elif issubclass(field.hint, str) and field.hint is not str:
            item = st.sampled_from(list(field.hint))  # type: ignore[call-overload]
        elif field.hint is str:
            item = st.text(
                st.characters(
                    codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"), exclude_characters="\ufffe\uffff"
                ),
                min_size=1,
            )
        elif field.hint is int:
            item = st.integers(min_value=-(1 << 31), max_value=(1 << 31) - 1)
        elif field.hint is float:
            item = st.floats(allow_nan=False)
        else:
            item = st.from_type(field.hint)
        if field.repeated or field.spec.tokens:
            item = st.lists(item, max_size=2, min_size=1 if field.required or field.spec.tokens else 0).map(tuple)
        if not field.required and not field.repeated:
            item = st.none() | item
        parts[field.py] = item
    return st.builds(cls, **parts)


@pytest.mark.parametrize(
    "cls",
    [
        tt.VideoEncoderConfiguration,
        tt.Message,
        tt.RecordingInformation,
        tds.GetUsersResponse,
        tds.SystemCapabilities,
        trt.GetStreamUri,
        tr2.GetVideoEncoderConfigurationOptionsResponse,
        trc.GetRecordingJobsResponse,
        tse.FindEvents,
    ],
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_round_trip(cls: type, data: st.DataObject) -> None:
    value = data.draw(strategy(cls))
    assert decode(cls, etree.fromstring(encode_bytes(value, "{urn:x}Y"))) == value


def test_order_prefixes_and_unknown_parts_do_not_matter() -> None:
    request = read(
        trt.GetStreamUri,
        f"""<m:GetStreamUri xmlns:m="{TRT}" xmlns="{TT}" xmlns:o="urn:other" o:a="1" b="2">
          <o:Extra><o:Deep/></o:Extra>
          <m:ProfileToken>
              cam-1-main
          </m:ProfileToken>
          <m:StreamSetup><Transport><Protocol> RTSP </Protocol></Transport><Stream>RTP-Unicast</Stream></m:StreamSetup>
        </m:GetStreamUri>""",
    )
    assert request == trt.GetStreamUri(
        stream_setup=tt.StreamSetup(
            stream=tt.StreamType.RTP_UNICAST, transport=tt.Transport(protocol=tt.TransportProtocol.RTSP)
        ),
        profile_token="cam-1-main",
    )


def test_children_in_the_wrong_namespace_are_taken() -> None:
    for ns in ("", f'xmlns="{TT}"'):
        xml = f'<m:GetProfile xmlns:m="{TRT}"><ProfileToken {ns}>a</ProfileToken></m:GetProfile>'
        assert read(trt.GetProfile, xml) == trt.GetProfile(profile_token="a")


def test_children_in_the_namespace_of_their_parent_are_taken() -> None:
    xml = f"""<GetStreamUri xmlns="{TRT}"><StreamSetup><Stream>RTP-Unicast</Stream><Transport><Protocol>UDP</Protocol>
    </Transport></StreamSetup><ProfileToken>a</ProfileToken></GetStreamUri>"""
    assert read(trt.GetStreamUri, xml).stream_setup.transport.protocol is tt.TransportProtocol.UDP


def test_open_content_of_other_namespaces_is_not_mistaken() -> None:
    found = read(
        tt.StreamSetup,
        f"<x xmlns:t='{TT}' xmlns:o='urn:o'><o:Stream/><t:Stream>RTP-Unicast</t:Stream><t:Transport><t:Protocol>UDP</t:Protocol></t:Transport></x>",
    )
    assert found.stream is tt.StreamType.RTP_UNICAST
    assert [node.tag for node in found.any_] == ["{urn:o}Stream"]


def test_what_is_missing_is_invalid_args() -> None:
    with pytest.raises(BadInput, match="ProfileToken is missing") as caught:
        read(trt.GetProfile, f'<GetProfile xmlns="{TRT}"/>')
    assert caught.value.soap_subcode == "InvalidArgs"


@pytest.mark.parametrize(
    ("cls", "xml"),
    [
        (tds.GetServices, "<x><IncludeCapability>perhaps</IncludeCapability></x>"),
        (trt.GetStreamUri, "<x><StreamSetup><Stream>RTP-Telepathy</Stream></StreamSetup></x>"),
        (tse.GetMediaAttributes, "<x><Time>yesterday</Time></x>"),
        (tev.PullMessages, "<x><Timeout>60</Timeout></x>"),
        (tev.PullMessages, "<x><MessageLimit>many</MessageLimit></x>"),
        (tev.PullMessages, f"<x><MessageLimit>{'9' * 5000}</MessageLimit></x>"),
    ],
)
def test_a_value_of_the_wrong_form_is_invalid_arg_val(cls: type, xml: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(cls, xml)
    assert caught.value.soap_subcode == "InvalidArgVal"
    assert len(caught.value.reason) < 300


def test_nil_is_none() -> None:
    nil = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"'
    assert (
        read(tev.CreatePullPointSubscription, f"<x><InitialTerminationTime {nil}/></x>").initial_termination_time
        is None
    )
    value = wsnt.RenewResponse(termination_time=None)
    written = encode(value)
    assert written[0].get("{http://www.w3.org/2001/XMLSchema-instance}nil") == "true"
    assert decode(wsnt.RenewResponse, written) == value


def test_nil_in_a_list_is_left_out() -> None:
    nil = '<Category xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="1"/>'
    for xml in (f"<x>{nil}<Category>All</Category></x>", f"<x><Category>All</Category>{nil}</x>"):
        assert read(tds.GetCapabilities, xml).category == (tt.CapabilityCategory.ALL,)


def test_open_content_keeps_its_namespace_context() -> None:
    request = read(
        tev.CreatePullPointSubscription,
        """<x xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2" xmlns:t="http://www.onvif.org/ver10/topics"><Filter>
        <wsnt:TopicExpression Dialect="d">t:VideoSource//.</wsnt:TopicExpression></Filter></x>""",
    )
    assert request.filter_ is not None
    (expression,) = request.filter_.any_
    topic = decode(wsnt.TopicExpressionType, expression)
    assert (topic.dialect, topic.value) == ("d", "t:VideoSource//.")
    assert expression.nsmap["t"] == "http://www.onvif.org/ver10/topics"
    assert prefixed_to_clark("t:A", expression) == "{http://www.onvif.org/ver10/topics}A"
    with pytest.raises(ValueError, match="unknown namespace prefix"):
        prefixed_to_clark("u:A", expression)


def test_writing_does_not_move_open_content() -> None:
    tree = etree.fromstring("<a><b/></a>")
    value = wsnt.FilterType(any_=(tree[0],))
    assert encode_bytes(value, "f") == encode_bytes(value, "f")
    assert len(tree) == 1


def test_qualified_names_are_written_with_a_prefix_in_scope() -> None:
    item = tt.ItemListDescriptionSimpleItemDescription(name="State", type_="{http://www.w3.org/2001/XMLSchema}boolean")
    written = encode_bytes(item, "x")
    assert b'Type="xs:boolean"' in written
    assert decode(type(item), etree.fromstring(written)) == item


def test_characters_that_xml_cannot_carry_are_replaced() -> None:
    written = encode_bytes(
        tds.GetHostnameResponse(hostname_information=tt.HostnameInformation(from_dhcp=False, name="a\0b\x1fc\ud800"))
    )
    assert (
        decode(tds.GetHostnameResponse, etree.fromstring(written)).hostname_information.name == "a\ufffdb\ufffdc\ufffd"
    )
    scope = encode_bytes(tt.ItemListSimpleItem(name="\0", value="\0"), "x")
    assert etree.fromstring(scope).get("Name") == "\ufffd"


def test_white_space_of_passwords_is_kept() -> None:
    xml = "<x><User><Username> u </Username><Password> p </Password><UserLevel>User</UserLevel></User></x>"
    (user,) = read(tds.CreateUsers, xml).user
    assert (user.username, user.password) == ("u", " p ")


def test_tags() -> None:
    assert tag_of(trt.GetProfiles) == f"{{{TRT}}}GetProfiles"


class TestLenient:
    def test_values_the_schema_does_not_know_stay_text(self) -> None:
        xml = "<x token='t'><Name>n</Name><Encoding>H265</Encoding><Quality>high</Quality><UseCount>2.0</UseCount></x>"
        found = read(tt.VideoEncoderConfiguration, xml, lenient=True)
        assert found.encoding == "H265"
        assert found.quality == 0.0
        assert found.use_count == 2
        assert found.resolution == tt.VideoResolution(width=0, height=0)

    def test_unreadable_optional_parts_are_left_out(self) -> None:
        found = read(tt.VideoRateControl, "<x><FrameRateLimit>fast</FrameRateLimit></x>", lenient=True)
        assert found.frame_rate_limit == 0
        assert read(
            tds.GetServices, "<x><IncludeCapability>TRUE</IncludeCapability></x>", lenient=True
        ).include_capability

    @pytest.mark.parametrize("cls", samples.messages("Response"))
    def test_an_empty_answer_can_be_read(self, cls: type) -> None:
        decode(cls, etree.fromstring("<x/>"), lenient=True)
