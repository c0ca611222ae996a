// of what tools/install/pwa.py writes beside the web app's folders: `constants.js` says what it is
declare const said: unknown;
export default said;
