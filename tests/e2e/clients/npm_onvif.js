// npm `onvif` 0.8.3 (what UniFi Protect and many others embed): connect, look around, take an event, look at recordings.
// Arguments: host port user password. Prints one JSON object.
const { Cam } = require('onvif');
const [host, port, username, password] = process.argv.slice(2);
const answers = {};

function fail(step, error) {
  console.error(step, error && error.stack ? error.stack : error);
  process.exit(1);
}

const cam = new Cam({ hostname: host, port: Number(port), username, password, timeout: 15000 }, async function (error) {
  if (error) fail('connect', error);
  const ask = (name, ...args) =>
    new Promise((resolve, reject) =>
      cam[name](...args, (err, answer) => (err ? reject(new Error(name + ': ' + (err.message || err))) : resolve(answer))),
    );
  try {
    answers.information = await ask('getDeviceInformation');
    answers.time = await ask('getSystemDateAndTime');
    answers.hostname = await ask('getHostname');
    answers.scopes = await ask('getScopes');
    answers.capabilities = await ask('getCapabilities');
    answers.services = await ask('getServices', false);
    answers.users = await ask('getUsers');
    answers.profiles = cam.profiles.map((profile) => profile.$.token);
    answers.sources = [].concat(cam.videoSources).map((source) => source.$.token);
    answers.stream = await ask('getStreamUri', { protocol: 'RTSP', profileToken: answers.profiles[0] });
    answers.snapshot = await ask('getSnapshotUri', { profileToken: answers.profiles[0] });
    answers.recordings = [].concat(await ask('getRecordings')).map((item) => item.recordingToken);
    answers.jobs = [].concat(await ask('getRecordingJobs')).map((item) => item.jobToken);
    answers.summary = await ask('getRecordingSummary');
    answers.replay = await ask('getReplayUri', { recordingToken: answers.recordings[0], protocol: 'RTSP' });
    answers.event = await new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error('no motion event in 40 s')), 40000);
      cam.on('eventsError', reject);
      cam.on('event', (message) => {
        const topic = message.topic._ || message.topic;
        if (/MotionAlarm/.test(topic)) resolve({ topic, message: message.message });
      });
    });
  } catch (problem) {
    fail('call', problem);
  }
  console.log(JSON.stringify(answers));
  process.exit(0);
});
setTimeout(() => fail('time', 'not done in 90 s'), 90000);
