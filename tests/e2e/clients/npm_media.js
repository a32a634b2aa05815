// npm `onvif` 0.8.3: makes a profile of its own, changes an encoder, asks for addresses. Arguments: host port user password.
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
    await new Promise((resolve) => cam.deleteProfile('npm-profile-1', () => resolve()));
    answers.media2 = cam.media2Support;
    const made = await ask('createProfile', { name: 'npm', token: 'npm-profile-1' });
    answers.made = made.$.token;
    const source = [].concat(await ask('getVideoSourceConfigurations'))[0];
    const encoders = [].concat(await ask('getVideoEncoderConfigurations'));
    const encoder = encoders.find((each) => /-jpeg$/.test(each.$.token));
    answers.encoders = encoders.map((each) => each.$.token);
    await ask('addVideoSourceConfiguration', { profileToken: answers.made, configurationToken: source.token });
    await ask('addVideoEncoderConfiguration', { profileToken: answers.made, configurationToken: encoder.$.token });
    encoder.resolution = { width: 320, height: 240 };
    encoder.rateControl.frameRateLimit = 3;
    await ask('setVideoEncoderConfiguration', encoder);
    const after = [].concat(await ask('getVideoEncoderConfigurations')).find((each) => each.$.token === encoder.$.token);
    answers.after = [after.resolution.width, after.resolution.height, after.rateControl.frameRateLimit];
    answers.stream = (await ask('getStreamUri', { protocol: 'RTSP', profileToken: answers.made })).uri;
    await ask('setSynchronizationPoint', { profileToken: answers.made });
    answers.profiles = [].concat(await ask('getProfiles')).map((profile) => profile.$.token);
    await ask('deleteProfile', answers.made);
    answers.left = [].concat(await ask('getProfiles')).map((profile) => profile.$.token);
  } catch (problem) {
    fail('call', problem);
  }
  console.log(JSON.stringify(answers));
  process.exit(0);
});
setTimeout(() => fail('time', 'not done in 60 s'), 60000);
