"""`onvif-zeep-async` in the order in which Home Assistant's ONVIF integration uses it. Arguments: host port user password."""

import asyncio
import datetime as dt
import json
import sys

from onvif import ONVIFCamera


async def until_motion(pullpoint, seconds):
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    seen = []
    while loop.time() < deadline:
        answer = await pullpoint.PullMessages({"MessageLimit": 100, "Timeout": dt.timedelta(seconds=5)})
        for message in answer.NotificationMessage or []:
            topic = message.Topic._value_1
            seen.append(topic)
            if topic.endswith("MotionAlarm") and message.Message._value_1.PropertyOperation == "Changed":
                body = message.Message._value_1
                return {
                    "topic": topic,
                    "utc": body.UtcTime.isoformat(),
                    "source": {item.Name: item.Value for item in body.Source.SimpleItem},
                    "data": {item.Name: item.Value for item in body.Data.SimpleItem},
                }
    raise SystemExit(f"no motion in {seconds} s, only {seen}")


async def main(host, port, user, password):
    camera = ONVIFCamera(host, int(port), user, password, no_cache=True)
    answers = {}
    try:
        await camera.update_xaddrs()
        answers["services"] = sorted(camera.xaddrs)
        management = await camera.create_devicemgmt_service()
        moment = (await management.GetSystemDateAndTime()).UTCDateTime
        answers["year"] = moment.Date.Year
        information = await management.GetDeviceInformation()
        answers["serial"] = information.SerialNumber
        answers["model"] = information.Model
        interfaces = await management.GetNetworkInterfaces()
        answers["macs"] = [interface.Info.HwAddress for interface in interfaces if interface.Enabled]

        media = await camera.create_media_service()
        capabilities = await media.GetServiceCapabilities()
        answers["snapshot_capability"] = capabilities.SnapshotUri
        answers["profiles"] = [
            {
                "token": profile.token,
                "encoding": profile.VideoEncoderConfiguration.Encoding,
                "width": profile.VideoEncoderConfiguration.Resolution.Width,
                "height": profile.VideoEncoderConfiguration.Resolution.Height,
                "source": profile.VideoSourceConfiguration.SourceToken,
            }
            for profile in await media.GetProfiles()
            if profile.VideoEncoderConfiguration
        ]
        token = answers["profiles"][0]["token"]
        snapshot = await camera.get_snapshot(token, False)
        answers["snapshot"] = [len(snapshot), snapshot[:2].hex()]
        request = media.create_type("GetStreamUri")
        request.ProfileToken = token
        request.StreamSetup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
        answers["stream"] = (await media.GetStreamUri(request)).Uri

        lost = []
        manager = await camera.create_pullpoint_manager(dt.timedelta(minutes=10), lambda: lost.append(1))
        await manager.set_synchronization_point()
        answers["event"] = await until_motion(manager.get_service(), 40)
        answers["renewed"] = await manager._renew_subscription() is not None
        subscription = manager._subscription
        await subscription.Unsubscribe()
        try:
            await subscription.Renew("PT60S")
            answers["ended"] = False
        except Exception:
            answers["ended"] = True
        manager.pause()
        answers["lost"] = len(lost)
    finally:
        await camera.close()
    print(json.dumps(answers))


asyncio.run(asyncio.wait_for(main(*sys.argv[1:5]), 90))
