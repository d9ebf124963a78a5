// oidc-provider as one process: one confidential client, one API, ES256 JWT access tokens, refresh tokens that rotate.
//
// `node server.mjs SETTINGS`: a JSON file with port, resource, scope, account, client ({id, secret}), and store, which is
// null for oidc-provider's own store in memory, else {file, shared, events}. POST /bench/refresh-tokens?count=N answers
// N new refresh tokens: they stand for people who logged in before, which is not what is measured.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';
import { Adapter, Store } from './store.mjs';

const { port, resource, scope, account, client, store: kept } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const FAMILY_SECONDS = 30 * 24 * 3600;
const MINT = '/bench/refresh-tokens';

const store = kept && new Store(kept.file, kept);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  ...(store && { adapter: (model) => new Adapter(store, model) }),
  clients: [
    {
      client_id: client.id,
      client_secret: client.secret,
      grant_types: ['client_credentials', 'refresh_token', 'authorization_code'],
      response_types: ['code'],
      redirect_uris: ['https://app.example.com/callback'],
      token_endpoint_auth_method: 'client_secret_basic',
    },
  ],
  jwks: { keys: [signingKey()] },
  clientAuthMethods: ['client_secret_basic'],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  rotateRefreshToken: true,
  scopes: ['openid', 'offline_access', scope],
  ttl: { AccessToken: 300, ClientCredentials: 300, RefreshToken: FAMILY_SECONDS, Grant: FAMILY_SECONDS },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      getResourceServerInfo: () => ({
        scope,
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});

if (store && kept.events) {
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.oidc?.route === 'token' && ctx.status === 200) await store.record(event(ctx));
  });
}

const answer = provider.callback();
createServer((request, response) => {
  if (request.method === 'POST' && request.url.startsWith(`${MINT}?`)) mint(request, response);
  else answer(request, response);
}).listen(port, '127.0.0.1');

async function mint(request, response) {
  const count = Number(new URL(request.url, 'http://bench').searchParams.get('count'));
  const tokens = [];
  for (let made = 0; made < count; made += 1) tokens.push(await refreshToken());
  response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ refresh_tokens: tokens }));
}

async function refreshToken() {
  const grant = new provider.Grant({ accountId: account, clientId: client.id });
  grant.addResourceScope(resource, scope);
  const grantId = await grant.save(FAMILY_SECONDS);
  const found = await provider.Client.find(client.id);
  return new provider.RefreshToken({
    accountId: account,
    authTime: Math.floor(Date.now() / 1000),
    client: found,
    grantId,
    gty: 'authorization_code',
    resource,
    scope,
  }).save();
}

// The fields of yett's own events, so that as much is written.
function event(ctx) {
  const { params, entities, client: asking } = ctx.oidc;
  return {
    type: params.grant_type === 'refresh_token' ? 'token.refreshed' : 'token.issued',
    id: randomUUID(),
    at: new Date().toISOString(),
    outcome: 'success',
    subject: entities.Account?.accountId ?? asking.clientId,
    session_id: entities.RefreshToken?.grantId ?? null,
    client_id: asking.clientId,
    details: { grant_type: params.grant_type, scopes: [scope] },
    request_id: randomUUID(),
    address: ctx.ip,
  };
}

function signingKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid: 'bench', alg: 'ES256', use: 'sig' };
}
