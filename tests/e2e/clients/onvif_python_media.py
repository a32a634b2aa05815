"""`onvif-python` (zeep in strict mode): makes profiles by Media and Media2, changes configurations, reads all back.

Arguments: host port user password.
"""

import json
import sys

from onvif import ONVIFClient

host, port, user, password = sys.argv[1:5]
client = ONVIFClient(host, int(port), user, password)
media, media2 = client.media(), client.media2()
answers = {}

made = media.CreateProfile(Name="Wall", Token="zeep-profile-1").token
source = media.GetCompatibleVideoSourceConfigurations(ProfileToken=made)[0].token
media.AddVideoSourceConfiguration(ProfileToken=made, ConfigurationToken=source)
encoders = [each.token for each in media.GetCompatibleVideoEncoderConfigurations(ProfileToken=made)]
jpeg = next(each for each in encoders if each.endswith("-jpeg"))
media.AddVideoEncoderConfiguration(ProfileToken=made, ConfigurationToken=jpeg)
metadata = media.GetCompatibleMetadataConfigurations(ProfileToken=made)[0]
media.AddMetadataConfiguration(ProfileToken=made, ConfigurationToken=metadata.token)
answers["made"] = made

options = media.GetVideoEncoderConfigurationOptions(ConfigurationToken=jpeg)
answers["sizes"] = [(each.Width, each.Height) for each in options.JPEG.ResolutionsAvailable]
encoder = media.GetVideoEncoderConfiguration(ConfigurationToken=jpeg)
encoder.Name, encoder.RateControl.FrameRateLimit = "Still", 2
encoder.Multicast.Address.IPv4Address, encoder.Multicast.Port, encoder.Multicast.TTL = "239.10.20.30", 45000, 3
media.SetVideoEncoderConfiguration(Configuration=encoder, ForcePersistence=True)
after = media.GetProfile(ProfileToken=made).VideoEncoderConfiguration
group = after.Multicast
answers["encoder"] = [after.Name, after.RateControl.FrameRateLimit, group.Address.IPv4Address, group.Port, group.TTL]

metadata.Analytics = False
media.SetMetadataConfiguration(Configuration=metadata, ForcePersistence=True)
answers["analytics"] = media.GetMetadataConfiguration(ConfigurationToken=metadata.token).Analytics

setups = [("RTP-Unicast", "UDP"), ("RTP-Unicast", "RTSP"), ("RTP-Unicast", "HTTP"), ("RTP-Multicast", "UDP")]
answers["addresses"] = [
    media.GetStreamUri(StreamSetup={"Stream": stream, "Transport": {"Protocol": protocol}}, ProfileToken=made).Uri
    for stream, protocol in setups
]
started = []
for operation in (media.StartMulticastStreaming, media.StopMulticastStreaming):
    operation(ProfileToken=made)
    started.append(media.GetVideoEncoderConfiguration(ConfigurationToken=jpeg).Multicast.AutoStart)
answers["started"] = started

references = [{"Type": "VideoSource", "Token": source}, {"Type": "VideoEncoder", "Token": encoders[0]}]
other = media2.CreateProfile(Name="Door", Configuration=references)
media2.AddConfiguration(ProfileToken=other, Configuration=[{"Type": "Metadata", "Token": metadata.token}])
found = media2.GetProfiles(Token=other, Type=["All"])[0].Configurations
answers["other"] = [found.VideoSource.token, found.VideoEncoder.token, found.Metadata.token]
answers["expected"] = [source, encoders[0], metadata.token]
late = media2.GetVideoEncoderConfigurations(ConfigurationToken=encoders[0])[0]
media2.SetVideoEncoderConfiguration(Configuration=late)
answers["protocols"] = [
    media2.GetStreamUri(Protocol=protocol, ProfileToken=other)
    for protocol in ("RtspUnicast", "RtspMulticast", "RTSP", "RtspOverHttp")
]
media2.SetSynchronizationPoint(ProfileToken=other)
media2.RemoveConfiguration(ProfileToken=other, Configuration=[{"Type": "All"}])
for token in (made, other):
    media2.DeleteProfile(Token=token)
answers["left"] = [each.token for each in media.GetProfiles()]
print(json.dumps(answers))
