// A server's and a device's login with openid-client: nothing is known of the provider but its issuer.
import * as client from 'openid-client'
import { brief, connect, refusal, refused, show, soon, visit } from './conversation.mjs'

const SCOPE = 'openid profile orders:read'
const { redirect_uri, post_logout_redirect_uri, resource } = brief

/** The configuration: discovery, and signatures of ID tokens are verified beside TLS. */
const discovered = (authentication) =>
  client.discovery(new URL(brief.issuer), brief.client_id, undefined, authentication, {
    execute: [client.enableNonRepudiationChecks],
  })

const confidential = () => discovered(client.ClientSecretBasic(brief.client_secret))
const nameless = () => discovered(client.None())
const keyed = async () => discovered(client.PrivateKeyJwt(await privateKey()))

async function privateKey() {
  const curve = { name: 'ECDSA', namedCurve: 'P-256' }
  const key = await crypto.subtle.importKey('jwk', brief.private_key, curve, false, ['sign'])
  return { key, kid: brief.private_key.kid }
}

/** What one request for a code is made of: its parameters, and what its answer is checked against. */
async function request(more = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()]
  const parameters = {
    redirect_uri,
    scope: SCOPE,
    resource,
    state: expectedState,
    nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    ...more,
  }
  return { parameters, checks: { pkceCodeVerifier, expectedState, expectedNonce } }
}

/** What the tokens are good for, and what follows them. */
async function used(config, tokens, nonce, DPoP) {
  const { sub } = tokens.claims()
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
  return {
    tokens,
    claims: tokens.claims(),
    nonce,
    userinfo: await client.fetchUserInfo(config, tokens.access_token, sub, { DPoP }),
    refreshed,
    refreshed_claims: refreshed.claims(),
    refreshed_userinfo: await client.fetchUserInfo(config, refreshed.access_token, sub, { DPoP }),
  }
}

async function login(config, url, { checks }, DPoP) {
  const { url: arrived } = await visit(url)
  const tokens = await client.authorizationCodeGrant(config, arrived, checks, undefined, { DPoP })
  return used(config, tokens, checks.expectedNonce, DPoP)
}

/** The end: the person is sent to log out, and what came of their login is over. */
async function loggedOut(config, { tokens, claims, refreshed: { access_token, refresh_token } }) {
  const { url: goodbye } = await visit(
    client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri, state: 'gone' }),
  )
  const again = await request({ prompt: 'none' })
  const { url: back } = await visit(client.buildAuthorizationUrl(config, again.parameters))
  return {
    goodbye,
    silent: await refusal(() => client.authorizationCodeGrant(config, back, again.checks)),
    refresh_after: await refusal(() => client.refreshTokenGrant(config, refresh_token)),
    userinfo_after: await refused(() => client.fetchUserInfo(config, access_token, claims.sub)),
  }
}

await show({
  async code() {
    const config = await confidential()
    const asked = await request()
    const found = await login(config, client.buildAuthorizationUrl(config, asked.parameters), asked)
    return { ...found, ...(await loggedOut(config, found)) }
  },

  async par_and_form_post() {
    const config = await keyed()
    const { parameters, checks } = await request({ response_mode: 'form_post' })
    const sent = await client.buildAuthorizationUrlWithPAR(config, parameters)
    const { url, form } = await visit(sent)
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const posted = new Request(url, { method: 'POST', headers, body: form })
    const tokens = await client.authorizationCodeGrant(config, posted, checks)
    const found = await used(config, tokens, checks.expectedNonce)
    return { ...found, sent: Object.fromEntries(sent.searchParams), query: url.search }
  },

  async signed_request() {
    const config = await keyed()
    const asked = await request()
    const signed = await client.buildAuthorizationUrlWithJAR(config, asked.parameters, await privateKey())
    return login(config, await client.buildAuthorizationUrlWithPAR(config, signed.searchParams), asked)
  },

  async dpop() {
    const config = await nameless()
    const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair())
    const asked = await request({ dpop_jkt: await DPoP.calculateThumbprint() })
    const found = await login(config, client.buildAuthorizationUrl(config, asked.parameters), asked, DPoP)
    client.allowInsecureRequests(config) // this test's API has no TLS
    const call = async (options) => {
      const [token, api] = [found.refreshed.access_token, new URL(brief.api)]
      return (await client.fetchProtectedResource(config, token, api, 'GET', null, undefined, options)).status
    }
    const thief = client.getDPoPHandle(config, await client.randomDPoPKeyPair())
    return {
      ...found,
      api: await call({ DPoP }),
      without_proof: await refusal(() => call()),
      another_key: await refusal(() => call({ DPoP: thief })),
    }
  },

  async device() {
    const config = await nameless()
    const device = await client.initiateDeviceAuthorization(config, { scope: SCOPE, resource })
    const [tokens, heading] = await Promise.all([
      client.pollDeviceAuthorizationGrant(config, device),
      connect(device.verification_uri_complete),
    ])
    return { ...(await used(config, tokens)), heading }
  },

  async client_credentials() {
    const config = await confidential()
    return { tokens: await client.clientCredentialsGrant(config, { scope: 'orders:read', resource }) }
  },

  async private_key_jwt() {
    const config = await keyed()
    return { tokens: await client.clientCredentialsGrant(config, { scope: 'orders:read', resource }) }
  },

  async introspection() {
    const config = await confidential()
    const { access_token } = await client.clientCredentialsGrant(config, { resource })
    const introspect = () => client.tokenIntrospection(config, access_token)
    const before = await introspect()
    await client.tokenRevocation(config, access_token)
    const inactive = (told) => (told.active ? null : told)
    return { before, after: await soon(async () => inactive(await introspect())) }
  },

  async tampering() {
    const config = await confidential()
    const asked = await request()
    const { url } = await visit(client.buildAuthorizationUrl(config, asked.parameters))
    const altered = (checks, answer = {}) => {
      const arrived = new URL(url)
      for (const [name, value] of Object.entries(answer)) arrived.searchParams.set(name, value)
      return refusal(() => client.authorizationCodeGrant(config, arrived, { ...asked.checks, ...checks }))
    }
    return {
      state: await altered({ expectedState: client.randomState() }),
      iss: await altered({}, { iss: 'https://evil.example' }),
      code: await altered({}, { code: 'yac_another' }),
      verifier: await altered({ pkceCodeVerifier: client.randomPKCECodeVerifier() }),
      nonce: await altered({ expectedNonce: client.randomNonce() }), // so far nothing has used the code up
      replay: await altered({}),
    }
  },
})
