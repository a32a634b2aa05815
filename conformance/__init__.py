"""The examiner: the official ONVIF device test cases, run by their ids against any device.

`python -m conformance http://HOST/onvif/device_service --user U --password P`

Nothing here imports the recorder's code: what it says about a device must not rest on the same reading of the specification.
"""
