"""Device I/O (DeviceIO 5)."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from onvifd.onvif.soap.codec import AnyElements, any_elements, attribute, element, schema
from onvifd.onvif.soap.namespaces import TMD
from onvifd.onvif.types import tt

NAMESPACE = TMD


class SerialPortType(StrEnum):
    RS232 = "RS232"
    RS422_HALF_DUPLEX = "RS422HalfDuplex"
    RS422_FULL_DUPLEX = "RS422FullDuplex"
    RS485_HALF_DUPLEX = "RS485HalfDuplex"
    RS485_FULL_DUPLEX = "RS485FullDuplex"
    GENERIC = "Generic"


class ParityBit(StrEnum):
    NONE = "None"
    EVEN = "Even"
    ODD = "Odd"
    MARK = "Mark"
    SPACE = "Space"
    EXTENDED = "Extended"


@schema(TMD)
class GetServiceCapabilities:
    pass


@schema(TMD)
class GetServiceCapabilitiesResponse:
    capabilities: Capabilities = element("Capabilities")


@schema(TMD)
class Capabilities:
    any_: AnyElements = any_elements(default=())
    video_sources: int | None = attribute("VideoSources", default=None)
    video_outputs: int | None = attribute("VideoOutputs", default=None)
    audio_sources: int | None = attribute("AudioSources", default=None)
    audio_outputs: int | None = attribute("AudioOutputs", default=None)
    relay_outputs: int | None = attribute("RelayOutputs", default=None)
    serial_ports: int | None = attribute("SerialPorts", default=None)
    digital_inputs: int | None = attribute("DigitalInputs", default=None)
    digital_input_options: bool | None = attribute("DigitalInputOptions", default=None)


@schema(TMD)
class GetRelayOutputOptions:
    relay_output_token: str | None = element("RelayOutputToken", default=None)


@schema(TMD)
class GetRelayOutputOptionsResponse:
    relay_output_options: tuple[RelayOutputOptions, ...] = element("RelayOutputOptions", default=())


@schema(TMD)
class RelayOutputOptions:
    mode: tuple[tt.RelayMode, ...] = element("Mode")
    delay_times: tuple[float, ...] | None = element("DelayTimes", default=None, tokens=True)
    discrete: bool | None = element("Discrete", default=None)
    extension: RelayOutputOptionsExtension | None = element("Extension", default=None)
    token: str = attribute("token")


@schema(TMD)
class RelayOutputOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class Get:
    pass


@schema(TMD)
class GetResponse:
    token: tuple[str, ...] = element("Token", default=())


@schema(TMD)
class GetVideoSources(Get):
    pass


@schema(TMD)
class GetVideoSourcesResponse(GetResponse):
    pass


@schema(TMD)
class GetAudioSources(Get):
    pass


@schema(TMD)
class GetAudioSourcesResponse(GetResponse):
    pass


@schema(TMD)
class GetAudioOutputs(Get):
    pass


@schema(TMD)
class GetAudioOutputsResponse(GetResponse):
    pass


@schema(TMD)
class GetVideoOutputs:
    pass


@schema(TMD)
class GetVideoOutputsResponse:
    video_outputs: tuple[tt.VideoOutput, ...] = element("VideoOutputs", default=())


@schema(TMD)
class GetAudioSourceConfiguration:
    audio_source_token: str = element("AudioSourceToken")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetAudioSourceConfigurationResponse:
    audio_source_configuration: tt.AudioSourceConfiguration = element("AudioSourceConfiguration")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetAudioOutputConfiguration:
    audio_output_token: str = element("AudioOutputToken")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetAudioOutputConfigurationResponse:
    audio_output_configuration: tt.AudioOutputConfiguration = element("AudioOutputConfiguration")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetVideoSourceConfiguration:
    video_source_token: str = element("VideoSourceToken")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetVideoSourceConfigurationResponse:
    video_source_configuration: tt.VideoSourceConfiguration = element("VideoSourceConfiguration")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetVideoOutputConfiguration:
    video_output_token: str = element("VideoOutputToken")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetVideoOutputConfigurationResponse:
    video_output_configuration: tt.VideoOutputConfiguration = element("VideoOutputConfiguration")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class SetAudioSourceConfiguration:
    configuration: tt.AudioSourceConfiguration = element("Configuration")
    force_persistence: bool = element("ForcePersistence")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class SetAudioSourceConfigurationResponse:
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class SetAudioOutputConfiguration:
    configuration: tt.AudioOutputConfiguration = element("Configuration")
    force_persistence: bool = element("ForcePersistence")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class SetAudioOutputConfigurationResponse:
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class SetVideoSourceConfiguration:
    configuration: tt.VideoSourceConfiguration = element("Configuration")
    force_persistence: bool = element("ForcePersistence")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class SetVideoSourceConfigurationResponse:
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class SetVideoOutputConfiguration:
    configuration: tt.VideoOutputConfiguration = element("Configuration")
    force_persistence: bool = element("ForcePersistence")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class SetVideoOutputConfigurationResponse:
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetVideoSourceConfigurationOptions:
    video_source_token: str = element("VideoSourceToken")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetVideoSourceConfigurationOptionsResponse:
    video_source_configuration_options: tt.VideoSourceConfigurationOptions = element("VideoSourceConfigurationOptions")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetVideoOutputConfigurationOptions:
    video_output_token: str = element("VideoOutputToken")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetVideoOutputConfigurationOptionsResponse:
    video_output_configuration_options: tt.VideoOutputConfigurationOptions = element("VideoOutputConfigurationOptions")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetAudioSourceConfigurationOptions:
    audio_source_token: str = element("AudioSourceToken")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetAudioSourceConfigurationOptionsResponse:
    audio_source_options: tt.AudioSourceConfigurationOptions = element("AudioSourceOptions")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetAudioOutputConfigurationOptions:
    audio_output_token: str = element("AudioOutputToken")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetAudioOutputConfigurationOptionsResponse:
    audio_output_options: tt.AudioOutputConfigurationOptions = element("AudioOutputOptions")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class SetRelayOutputSettings:
    relay_output: tt.RelayOutput = element("RelayOutput")


@schema(TMD)
class SetRelayOutputSettingsResponse:
    pass


@schema(TMD)
class GetDigitalInputs:
    pass


@schema(TMD)
class GetDigitalInputsResponse:
    digital_inputs: tuple[tt.DigitalInput, ...] = element("DigitalInputs", default=())


@schema(TMD)
class DigitalInputConfigurationOptions:
    idle_state: tuple[tt.DigitalIdleState, ...] = element("IdleState")
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class GetDigitalInputConfigurationOptions:
    token: str | None = element("Token", default=None)


@schema(TMD)
class GetDigitalInputConfigurationOptionsResponse:
    digital_input_options: DigitalInputConfigurationOptions = element("DigitalInputOptions")


@schema(TMD)
class SetDigitalInputConfigurations:
    digital_inputs: tuple[tt.DigitalInput, ...] = element("DigitalInputs")


@schema(TMD)
class SetDigitalInputConfigurationsResponse:
    pass


@schema(TMD)
class GetSerialPorts:
    pass


@schema(TMD)
class GetSerialPortsResponse:
    serial_port: tuple[SerialPort, ...] = element("SerialPort", default=())


@schema(TMD)
class GetSerialPortConfiguration:
    serial_port_token: str = element("SerialPortToken")


@schema(TMD)
class GetSerialPortConfigurationResponse:
    serial_port_configuration: SerialPortConfiguration = element("SerialPortConfiguration")


@schema(TMD)
class SetSerialPortConfiguration:
    serial_port_configuration: SerialPortConfiguration = element("SerialPortConfiguration")
    force_persistance: bool = element("ForcePersistance")


@schema(TMD)
class SetSerialPortConfigurationResponse:
    pass


@schema(TMD)
class GetSerialPortConfigurationOptions:
    serial_port_token: str = element("SerialPortToken")


@schema(TMD)
class GetSerialPortConfigurationOptionsResponse:
    serial_port_options: SerialPortConfigurationOptions = element("SerialPortOptions")


@schema(TMD)
class SendReceiveSerialCommand:
    token: str | None = element("Token", default=None)
    serial_data: SerialData | None = element("SerialData", default=None)
    time_out: timedelta | None = element("TimeOut", default=None)
    data_length: int | None = element("DataLength", default=None)
    delimiter: str | None = element("Delimiter", default=None)


@schema(TMD)
class SendReceiveSerialCommandResponse:
    serial_data: SerialData | None = element("SerialData", default=None)


@schema(TMD)
class SerialData:
    binary: bytes | None = element("Binary", default=None)
    string: str | None = element("String", default=None)


@schema(TMD)
class SerialPort(tt.DeviceEntity):
    any_: AnyElements = any_elements(default=())


@schema(TMD)
class SerialPortConfiguration:
    baud_rate: int = element("BaudRate")
    parity_bit: ParityBit = element("ParityBit")
    character_length: int = element("CharacterLength")
    stop_bit: float = element("StopBit")
    any_: AnyElements = any_elements(default=())
    token: str = attribute("token")
    type_: SerialPortType = attribute("type")


@schema(TMD)
class SerialPortConfigurationOptions:
    baud_rate_list: tt.IntItems = element("BaudRateList")
    parity_bit_list: ParityBitList = element("ParityBitList")
    character_length_list: tt.IntItems = element("CharacterLengthList")
    stop_bit_list: tt.FloatItems = element("StopBitList")
    any_: AnyElements = any_elements(default=())
    token: str = attribute("token")


@schema(TMD)
class ParityBitList:
    items: tuple[ParityBit, ...] = element("Items", default=())
