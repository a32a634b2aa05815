"""Audio outputs, their configurations and those of decoders, by bytes, in both media services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from onvifd.media.types import Codec, TrackFormat
from onvifd.onvif.services.common import NS_MEDIA, NS_MEDIA2
from onvifd.onvif.types import tr2, trt, tt
from onvifd.rtsp.backchannel import Primacy

TRT, TR2 = f"{{{NS_MEDIA}}}", f"{{{NS_MEDIA2}}}"
TT = "{http://www.onvif.org/ver10/schema}"
NO_PROFILE = ("Sender", "InvalidArgVal", "NoProfile")
NO_CONFIG = ("Sender", "InvalidArgVal", "NoConfig")
MODIFY = ("Sender", "InvalidArgVal", "ConfigModify")
CONFLICT = ("Receiver", "Action", "ConfigurationConflict")
NO_OUTPUT = ("Receiver", "ActionNotSupported", "AudioOutputNotSupported")
NO_DECODER = ("Receiver", "ActionNotSupported", "AudioDecodingNotSupported")
FORMATS = (
    TrackFormat(codec=Codec.AAC, clock_rate=16000, channels=1, config=b"\x14\x08"),
    TrackFormat(codec=Codec.G726, clock_rate=8000, channels=1, bits=4),
)
Made = tuple[Any, Any, Any]


@pytest.fixture
async def made(media_stage: Callable[..., Any], client: Callable[..., Any]) -> Made:
    """Stage, client of Media, client of Media2; the first camera has a loudspeaker."""
    stage = await media_stage()
    stage.talk = {stage.one: FORMATS}
    await stage.take_over()
    return stage, client(stage.media), client(stage.media2)


@pytest.fixture
async def mute(media_stage: Callable[..., Any], client: Callable[..., Any]) -> Made:
    """The same without any loudspeaker."""
    stage = await media_stage()
    return stage, client(stage.media), client(stage.media2)


def tokens(answer: etree._Element) -> list[str | None]:
    return [item.get("token") for item in answer]


def wanted(stage: Any, **changes: Any) -> tt.AudioOutputConfiguration:
    known = tt.AudioOutputConfiguration(
        token=f"aoc-{stage.one}",
        name="Gate",
        use_count=0,
        output_token=f"ao-{stage.one}",
        send_primacy=Primacy.CLIENT,
        output_level=40,
    )
    return replace(known, **changes)


def decoder(stage: Any, **changes: Any) -> tt.AudioDecoderConfiguration:
    return replace(tt.AudioDecoderConfiguration(token=f"adc-{stage.one}", name="Horn", use_count=0), **changes)


# ---- Media


@pytest.mark.covers(
    *("S-GetAudioOutputs", "S-GetAudioDecoderConfigurations", "S-GetAudioDecoderConfiguration"),
    "S-GetCompatibleAudioDecoderConfigurations",
)
async def test_a_loudspeaker_is_shown_with_its_configurations(made: Made) -> None:
    stage, media, _ = made
    output, config, horn = f"ao-{stage.one}", f"aoc-{stage.one}", f"adc-{stage.one}"
    main = f"{stage.one}-main"
    assert tokens(await media.ask(trt.GetAudioOutputs())) == [output]
    (found,) = await media.ask(trt.GetAudioOutputConfigurations())
    assert {etree.QName(each).localname: each.text for each in found} == {
        "Name": "Cam 1",
        "UseCount": found.findtext(f"{TT}UseCount"),
        "OutputToken": output,
        "SendPrimacy": Primacy.AUTO,
        "OutputLevel": "100",
    }
    fixed = [each for each in stage.recorder.media().profiles if each.audio_output]
    assert found.findtext(f"{TT}UseCount") == str(len(fixed))
    assert {each.token for each in fixed} >= {main, f"{stage.one}-sub"}
    assert tokens(await media.ask(trt.GetAudioOutputConfiguration(configuration_token=config))) == [config]
    assert tokens(await media.ask(trt.GetCompatibleAudioOutputConfigurations(profile_token=main))) == [config]
    assert tokens(await media.ask(trt.GetAudioDecoderConfigurations())) == [horn]
    assert tokens(await media.ask(trt.GetAudioDecoderConfiguration(configuration_token=horn))) == [horn]
    assert tokens(await media.ask(trt.GetCompatibleAudioDecoderConfigurations(profile_token=main))) == [horn]
    other = f"{stage.two}-main"
    assert tokens(await media.ask(trt.GetCompatibleAudioOutputConfigurations(profile_token=other))) == []
    (profile,) = await media.ask(trt.GetProfile(profile_token=main))
    extension = profile.find(f"{TT}Extension")
    assert tokens(extension) == [config, horn]


async def test_what_is_not_there(made: Made) -> None:
    _, media, media2 = made
    for kind in ("Output", "Decoder"):
        get = getattr(trt, f"GetAudio{kind}Configuration")
        assert await media.fault(get(configuration_token="x")) == NO_CONFIG
        compatible = getattr(trt, f"GetCompatibleAudio{kind}Configurations")
        assert await media.fault(compatible(profile_token="x")) == NO_PROFILE
        for module, asked in ((trt, media), (tr2, media2)):
            options = getattr(module, f"GetAudio{kind}ConfigurationOptions")
            assert await asked.fault(options(configuration_token="x")) == NO_CONFIG
            assert await asked.fault(options(profile_token="x")) == NO_PROFILE


async def test_without_a_loudspeaker(mute: Made) -> None:
    stage, media, media2 = mute
    for empty in (trt.GetAudioOutputs(), trt.GetAudioOutputConfigurations(), trt.GetAudioDecoderConfigurations()):
        assert list(await media.ask(empty)) == []
    assert await media.fault(trt.GetAudioOutputConfiguration(configuration_token="x")) == NO_OUTPUT
    assert await media.fault(trt.GetAudioOutputConfigurationOptions()) == NO_OUTPUT
    assert await media.fault(trt.GetAudioDecoderConfiguration(configuration_token="x")) == NO_DECODER
    assert await media.fault(trt.GetAudioDecoderConfigurationOptions()) == NO_DECODER
    change = trt.SetAudioOutputConfiguration(configuration=wanted(stage), force_persistence=True)
    assert await media.fault(change) == NO_OUTPUT
    add = trt.AddAudioDecoderConfiguration(profile_token=f"{stage.one}-main", configuration_token="x")
    assert await media.fault(add) == NO_DECODER
    assert list(await media2.ask(tr2.GetAudioOutputConfigurations())) == []
    capabilities = (await media2.ask(tr2.GetServiceCapabilities(), None))[0]
    assert "Output" not in capabilities.find(f"{TR2}ProfileCapabilities").get("ConfigurationsSupported")


async def test_options_of_an_output(made: Made) -> None:
    stage, media, media2 = made
    for module, asked in ((trt, media), (tr2, media2)):
        for request in (
            module.GetAudioOutputConfigurationOptions(),
            module.GetAudioOutputConfigurationOptions(configuration_token=f"aoc-{stage.one}"),
            module.GetAudioOutputConfigurationOptions(profile_token=f"{stage.one}-main"),
        ):
            (found,) = await asked.ask(request)
            assert [each.text for each in found.findall(f"{TT}OutputTokensAvailable")] == [f"ao-{stage.one}"]
            assert [each.text for each in found.findall(f"{TT}SendPrimacyOptions")] == list(Primacy)
            span = found.find(f"{TT}OutputLevelRange")
            assert [each.text for each in span] == ["0", "100"]


@pytest.mark.covers("T-media2-GetAudioDecoderConfigurationOptions")
async def test_options_of_a_decoder(made: Made) -> None:
    stage, media, media2 = made
    (found,) = await media.ask(trt.GetAudioDecoderConfigurationOptions(configuration_token=f"adc-{stage.one}"))
    families = {etree.QName(each).localname: [[item.text for item in items] for items in each] for each in found}
    assert families == {
        "AACDecOptions": [["16", "24", "32", "48", "64"], ["16"]],
        "G711DecOptions": [["64"], ["8"]],
        "G726DecOptions": [["32"], ["8"]],
    }
    options = await media2.ask(tr2.GetAudioDecoderConfigurationOptions(profile_token=f"{stage.one}-main"))
    assert [each.findtext(f"{TT}Encoding") for each in options][:2] == ["PCMU", "PCMA"]
    assert "MP4A-LATM" in [each.findtext(f"{TT}Encoding") for each in options]


async def test_an_output_is_configured(made: Made) -> None:
    stage, media, media2 = made
    main = f"{stage.one}-main"
    assert (stage.presented[main].talk, stage.presented[main].talk_level) == (True, 100)
    assert not stage.presented[f"{stage.two}-main"].talk
    stage.events("")
    await media.ask(trt.SetAudioOutputConfiguration(configuration=wanted(stage), force_persistence=True))
    (found,) = await media2.ask(tr2.GetAudioOutputConfigurations(configuration_token=f"aoc-{stage.one}"))
    told = [found.findtext(f"{TT}{name}") for name in ("Name", "SendPrimacy", "OutputLevel")]
    assert told == ["Gate", Primacy.CLIENT, "40"]
    assert (stage.presented[main].talk_level, stage.presented[main].talk_primacy) == (40, Primacy.CLIENT)
    await media2.ask(tr2.SetAudioOutputConfiguration(configuration=wanted(stage, send_primacy=None, output_level=41)))
    (found,) = await media.ask(trt.GetAudioOutputConfiguration(configuration_token=f"aoc-{stage.one}"))
    told = [found.findtext(f"{TT}{name}") for name in ("Name", "SendPrimacy", "OutputLevel")]
    assert told == ["Gate", Primacy.CLIENT, "41"]
    assert (
        await media.fault(trt.SetAudioOutputConfiguration(configuration=wanted(stage), force_persistence=True), "user")
    )[1] == "NotAuthorized"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"token": "x"}, NO_CONFIG),
        ({"output_token": "x"}, MODIFY),
        ({"output_level": 101}, MODIFY),
        ({"output_level": -1}, MODIFY),
        ({"send_primacy": "www.onvif.org/ver20/HalfDuplex/Nobody"}, MODIFY),
        ({"name": "x" * 65}, MODIFY),
    ],
)
async def test_what_cannot_be_set_changes_nothing(made: Made, changes: dict[str, Any], fault: tuple[str, ...]) -> None:
    stage, media, media2 = made
    before = stage.recorder.media()
    bad = wanted(stage, **changes)
    assert await media.fault(trt.SetAudioOutputConfiguration(configuration=bad, force_persistence=True)) == fault
    assert await media2.fault(tr2.SetAudioOutputConfiguration(configuration=bad)) == fault
    assert stage.recorder.media() == before


async def test_a_decoder_is_named(made: Made) -> None:
    stage, media, media2 = made
    await media.ask(trt.SetAudioDecoderConfiguration(configuration=decoder(stage), force_persistence=True))
    (found,) = await media2.ask(tr2.GetAudioDecoderConfigurations())
    assert found.findtext(f"{TT}Name") == "Horn"
    await media2.ask(tr2.SetAudioDecoderConfiguration(configuration=decoder(stage, name="Siren")))
    (found,) = await media.ask(trt.GetAudioDecoderConfigurations())
    assert found.findtext(f"{TT}Name") == "Siren"
    for bad, fault in ((decoder(stage, token="x"), NO_CONFIG), (decoder(stage, name="x" * 65), MODIFY)):
        assert await media.fault(trt.SetAudioDecoderConfiguration(configuration=bad, force_persistence=True)) == fault
        assert await media2.fault(tr2.SetAudioDecoderConfiguration(configuration=bad)) == fault


@pytest.mark.covers("S-AddAudioDecoderConfiguration", "S-RemoveAudioDecoderConfiguration")
async def test_added_to_a_profile_and_taken_out(made: Made) -> None:
    stage, media, _ = made
    config, horn = f"aoc-{stage.one}", f"adc-{stage.one}"
    await media.ask(trt.CreateProfile(name="Talk", token="talk"))
    add_decoder = trt.AddAudioDecoderConfiguration(profile_token="talk", configuration_token=horn)
    assert await media.fault(add_decoder) == CONFLICT
    await media.ask(trt.AddVideoSourceConfiguration(profile_token="talk", configuration_token=f"vsc-{stage.one}"))
    await media.ask(trt.AddVideoEncoderConfiguration(profile_token="talk", configuration_token=f"ve-{stage.one}-main"))
    assert tokens(await media.ask(trt.GetCompatibleAudioOutputConfigurations(profile_token="talk"))) == [config]
    await media.ask(trt.AddAudioOutputConfiguration(profile_token="talk", configuration_token=config))
    assert not stage.presented["talk"].talk
    await media.ask(add_decoder)
    assert stage.presented["talk"].talk
    assert await media.fault(trt.RemoveAudioOutputConfiguration(profile_token="talk")) == CONFLICT
    await media.ask(trt.RemoveAudioDecoderConfiguration(profile_token="talk"))
    await media.ask(trt.RemoveAudioOutputConfiguration(profile_token="talk"))
    assert not stage.presented["talk"].talk


# ---- Media2


@pytest.mark.covers("T-media2-GetAudioOutputConfigurations", "T-media2-GetAudioDecoderConfigurations")
async def test_media2_shows_and_changes_profiles_with_a_loudspeaker(made: Made) -> None:
    stage, _, media2 = made
    main, config, horn = f"{stage.one}-main", f"aoc-{stage.one}", f"adc-{stage.one}"
    capabilities = (await media2.ask(tr2.GetServiceCapabilities(), None))[0]
    kinds = capabilities.find(f"{TR2}ProfileCapabilities").get("ConfigurationsSupported").split()
    assert {"AudioOutput", "AudioDecoder"} <= set(kinds)
    assert tokens(await media2.ask(tr2.GetAudioOutputConfigurations(profile_token=main))) == [config]
    assert tokens(await media2.ask(tr2.GetAudioDecoderConfigurations(profile_token=main))) == [horn]
    assert tokens(await media2.ask(tr2.GetAudioOutputConfigurations(profile_token=f"{stage.two}-main"))) == []
    (profile,) = await media2.ask(tr2.GetProfiles(token=main, type_=("AudioOutput", "AudioDecoder")))
    assert tokens(profile.find(f"{TR2}Configurations")) == [config, horn]
    stage.events("")
    both = (tr2.ConfigurationRef(type_="AudioOutput"), tr2.ConfigurationRef(type_="AudioDecoder"))
    await media2.ask(tr2.RemoveConfiguration(profile_token=main, configuration=both))
    assert stage.events("Media/ProfileChanged") == [(main,)]
    assert not stage.presented[main].talk
    named = (
        tr2.ConfigurationRef(type_="AudioOutput", token=config),
        tr2.ConfigurationRef(type_="AudioDecoder", token=horn),
    )
    await media2.ask(tr2.AddConfiguration(profile_token=main, configuration=named))
    assert stage.presented[main].talk
    other = tr2.AddConfiguration(profile_token=f"{stage.two}-main", configuration=named)
    assert await media2.fault(other) == CONFLICT
