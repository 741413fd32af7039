// An identity provider that is not ours, on loopback: its access tokens are JWTs for one audience. Commands come on the input, one a
// line, and each is answered by one line of JSON.
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';

// The output is for answers alone.
console.info = console.error;
let studio = '';
const jwks = { keys: [] };
for (const [alg, kid] of [['RS256', 'r'], ['ES256', 'e'], ['EdDSA', 'd']]) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  jwks.keys.push({ ...(await exportJWK(privateKey)), alg, kid, use: 'sig' });
}
const server = createServer().listen(0, '127.0.0.1');
await new Promise((listening) => server.once('listening', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
let [algorithm, seconds] = ['RS256', 3600];

const provider = new Provider(issuer, {
  jwks,
  clients: [{
    client_id: 'studiovault-machine',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    response_types: [],
    redirect_uris: [],
  }],
  scopes: ['openid', 'offline_access', 'carry'],
  rotateRefreshToken: true,
  cookies: { keys: ['a key of a test'] },
  features: {
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: 'carry',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: seconds,
        jwt: { sign: { alg: algorithm } },
      }),
    },
  },
  extraTokenClaims: () => ({ studiovault_studio: studio }),
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
  ttl: { RefreshToken: 86400, DeviceCode: 600, Grant: 86400, Session: 86400, Interaction: 600, IdToken: 600 },
});
server.on('request', provider.callback());

// What a person with a browser does: opens the address, types the code, says who they are, and agrees.
async function browse(address, code, answer) {
  const jar = new Map();
  const go = async (url, form) => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const body = form && new URLSearchParams(form);
    const response = await fetch(url, { method: body ? 'POST' : 'GET', body, headers: { cookie }, redirect: 'manual' });
    for (const set of response.headers.getSetCookie()) {
      const [name, value] = set.split(';')[0].split(/=(.*)/s);
      jar.set(name, value);
    }
    const next = response.headers.get('location');
    if (next) return go(new URL(next, url).href);
    return { url, html: await response.text() };
  };
  const xsrf = (page) => page.html.match(/name="xsrf" value="([^"]+)"/)[1];
  const entry = await go(address);
  const asked = await go(address, { xsrf: xsrf(entry), user_code: code });
  if (answer === 'deny') {
    await go(address, { xsrf: xsrf(asked), user_code: code, abort: 'yes' });
    return 'denied';
  }
  let page = await go(address, { xsrf: xsrf(asked), user_code: code, confirm: 'yes' });
  for (let turn = 0; turn < 2; turn += 1) {
    const prompt = page.html.match(/name="prompt" value="([^"]+)"/)[1];
    page = await go(page.url, { prompt, login: 'ines', password: 'any' });
  }
  return page.html.includes('Sign-in Success') ? 'approved' : page.html;
}

const commands = {
  approve: (address, code) => browse(address, code, 'approve'),
  deny: (address, code) => browse(address, code, 'deny'),
  async revoke(token) {
    const body = new URLSearchParams({ token, client_id: 'studiovault-machine' });
    const response = await fetch(`${issuer}/token/revocation`, { method: 'POST', body });
    return response.status;
  },
  async studio(id) { studio = id; return id; },
  async sign(alg) { algorithm = alg; return alg; },
  async last(s) { seconds = Number(s); return seconds; },
};
console.log(JSON.stringify({ issuer }));
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...words] = line.split(' ');
  console.log(JSON.stringify({ answer: await commands[name](...words).catch((error) => `${error}`) }));
}
process.exit(0);
