"""`onvif-python` (zeep in strict mode): every served reading operation, and a recording search. Arguments: host port user password."""

import datetime as dt
import json
import sys
import time
from functools import partial

from onvif import ONVIFClient

answers = {"done": [], "failed": {}}


def attempt(name, call):
    try:
        result = call()
    except Exception as error:
        answers["failed"][name] = f"{type(error).__name__}: {error}"[:300]
        return None
    answers["done"].append(name)
    return result


def tokens(items):
    return [item.token for item in items or []]


def item_names(holder):
    """Names of the simple items of a message."""
    message = holder._value_1
    return [item.Name for part in (message.Source, message.Data) if part for item in part.SimpleItem]


def device(client):
    service = client.devicemgmt()
    for name in (
        *(
            "GetSystemDateAndTime",
            "GetServiceCapabilities",
            "GetDeviceInformation",
            "GetScopes",
            "GetUsers",
            "GetHostname",
        ),
        *("GetDNS", "GetNTP", "GetNetworkInterfaces", "GetNetworkProtocols", "GetNetworkDefaultGateway", "GetWsdlUrl"),
        "GetDiscoveryMode",
    ):
        attempt(f"device.{name}", getattr(service, name))
    attempt("device.GetServices", lambda: service.GetServices(IncludeCapability=True))
    attempt("device.GetCapabilities", lambda: service.GetCapabilities(Category="All"))


def media(client):
    service = client.media()
    for name in (
        *("GetServiceCapabilities", "GetVideoSources", "GetAudioSources", "GetVideoSourceConfigurations"),
        *("GetVideoEncoderConfigurations", "GetAudioSourceConfigurations", "GetAudioEncoderConfigurations"),
        "GetMetadataConfigurations",
    ):
        attempt(f"media.{name}", getattr(service, name))
    profiles = attempt("media.GetProfiles", service.GetProfiles) or []
    answers["profiles"] = tokens(profiles)
    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    first = profiles[0].token
    attempt("media.GetProfile", lambda: service.GetProfile(ProfileToken=first))
    attempt("media.GetStreamUri", lambda: service.GetStreamUri(StreamSetup=setup, ProfileToken=first))
    attempt("media.GetSnapshotUri", lambda: service.GetSnapshotUri(ProfileToken=first))
    for kind in ("VideoSource", "VideoEncoder", "AudioSource", "AudioEncoder"):
        configuration = getattr(profiles[0], f"{kind}Configuration", None)
        if configuration is not None:
            get = getattr(service, f"Get{kind}Configuration")
            options = getattr(service, f"Get{kind}ConfigurationOptions")
            attempt(f"media.Get{kind}Configuration", partial(get, ConfigurationToken=configuration.token))
            attempt(f"media.Get{kind}ConfigurationOptions", partial(options, ConfigurationToken=configuration.token))
    attempt("media.SetSynchronizationPoint", lambda: service.SetSynchronizationPoint(ProfileToken=first))


def media2(client):
    service = client.media2()
    for name in (
        *("GetServiceCapabilities", "GetVideoSourceConfigurations", "GetVideoEncoderConfigurations"),
        *("GetAudioSourceConfigurations", "GetAudioEncoderConfigurations", "GetMetadataConfigurations"),
    ):
        attempt(f"media2.{name}", getattr(service, name))
    for kind in ("VideoSource", "VideoEncoder", "AudioSource", "AudioEncoder"):
        attempt(f"media2.Get{kind}ConfigurationOptions", getattr(service, f"Get{kind}ConfigurationOptions"))
    profiles = attempt("media2.GetProfiles", lambda: service.GetProfiles(Type=["All"])) or []
    first = profiles[0].token
    attempt("media2.GetStreamUri", lambda: service.GetStreamUri(Protocol="RTSP", ProfileToken=first))
    attempt("media2.GetSnapshotUri", lambda: service.GetSnapshotUri(ProfileToken=first))
    attempt("media2.SetSynchronizationPoint", lambda: service.SetSynchronizationPoint(ProfileToken=first))
    source = profiles[0].Configurations.VideoSource.token
    attempt("media2.GetVideoEncoderInstances", lambda: service.GetVideoEncoderInstances(ConfigurationToken=source))


def events(client):
    service = client.events()
    attempt("events.GetServiceCapabilities", service.GetServiceCapabilities)
    attempt("events.GetEventProperties", service.GetEventProperties)


def recording(client):
    service = client.recording()
    attempt("recording.GetServiceCapabilities", service.GetServiceCapabilities)
    recordings = attempt("recording.GetRecordings", service.GetRecordings) or []
    answers["recordings"] = [item.RecordingToken for item in recordings]
    first, track = recordings[0].RecordingToken, recordings[0].Tracks.Track[0].TrackToken
    attempt("recording.GetRecordingConfiguration", lambda: service.GetRecordingConfiguration(RecordingToken=first))
    attempt("recording.GetRecordingOptions", lambda: service.GetRecordingOptions(RecordingToken=first))
    attempt(
        "recording.GetTrackConfiguration", lambda: service.GetTrackConfiguration(RecordingToken=first, TrackToken=track)
    )
    jobs = attempt("recording.GetRecordingJobs", service.GetRecordingJobs) or []
    job = jobs[0].JobToken
    attempt("recording.GetRecordingJobState", lambda: service.GetRecordingJobState(JobToken=job))
    attempt("recording.GetRecordingJobConfiguration", lambda: service.GetRecordingJobConfiguration(JobToken=job))
    return first


def search(client, first):
    service = client.search()
    attempt("search.GetServiceCapabilities", service.GetServiceCapabilities)
    summary = attempt("search.GetRecordingSummary", service.GetRecordingSummary)
    attempt("search.GetRecordingInformation", lambda: service.GetRecordingInformation(RecordingToken=first))
    moment = summary.DataFrom + (summary.DataUntil - summary.DataFrom) / 2
    attempt("search.GetMediaAttributes", lambda: service.GetMediaAttributes(Time=moment, RecordingTokens=[first]))

    scope = {"RecordingInformationFilter": 'boolean(//Track[TrackType = "Video"])'}
    token = attempt("search.FindRecordings", lambda: service.FindRecordings(Scope=scope, KeepAliveTime="PT30S"))
    found, state = [], ""
    deadline = time.monotonic() + 20
    while state != "Completed" and time.monotonic() < deadline:
        results = attempt(
            "search.GetRecordingSearchResults",
            lambda: service.GetRecordingSearchResults(SearchToken=token, MinResults=1, MaxResults=10, WaitTime="PT5S"),
        )
        state = results.SearchState
        found += [item.RecordingToken for item in results.RecordingInformation or []]
    answers["found"] = found
    # A search that has delivered its last result is over (RecordingSearch 5.2.3), so only another one can be ended.
    other = service.FindRecordings(Scope=scope, KeepAliveTime="PT30S")
    attempt("search.EndSearch", lambda: service.EndSearch(SearchToken=other))

    begin, end = summary.DataFrom - dt.timedelta(seconds=1), summary.DataUntil
    token = attempt(
        "search.FindEvents",
        lambda: service.FindEvents(
            StartPoint=begin, EndPoint=end, Scope={}, SearchFilter={}, IncludeStartState=False, KeepAliveTime="PT30S"
        ),
    )
    items, state = set(), ""
    deadline = time.monotonic() + 20
    while state != "Completed" and time.monotonic() < deadline:
        results = attempt(
            "search.GetEventSearchResults",
            lambda: service.GetEventSearchResults(SearchToken=token, MinResults=1, MaxResults=50, WaitTime="PT5S"),
        )
        state = results.SearchState
        # zeep loses the text of wsnt:Topic (mixed content with xs:any); the items tell the events apart as well.
        items |= {name for result in results.Result or [] for name in item_names(result.Event.Message)}
    answers["items"] = sorted(items)


def replay(client, first):
    service = client.replay()
    attempt("replay.GetServiceCapabilities", service.GetServiceCapabilities)
    attempt("replay.GetReplayConfiguration", service.GetReplayConfiguration)
    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    answers["replay"] = attempt(
        "replay.GetReplayUri", lambda: service.GetReplayUri(StreamSetup=setup, RecordingToken=first)
    )


host, port, user, password = sys.argv[1:5]
# The patch of this client loses items of messages; without it zeep decodes by itself.
onvif = ONVIFClient(host, int(port), user, password, timeout=15, apply_patch=False)
device(onvif)
media(onvif)
media2(onvif)
events(onvif)
token = recording(onvif)
search(onvif, token)
replay(onvif, token)
answers["done"] = sorted(set(answers["done"]))
print(json.dumps(answers, default=str))
