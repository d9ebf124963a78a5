// The same with oauth4webapi, where each step of the protocol is a call of its own and nothing is retried unasked.
import * as oauth from 'oauth4webapi'
import { brief, connect, refusal, refused, show, soon, visit } from './conversation.mjs'

const SCOPE = 'openid profile orders:read'
const { client_id, redirect_uri, post_logout_redirect_uri, resource } = brief
const client = { client_id }
const issuer = new URL(brief.issuer)

/** Discovery by RFC 8414, whose address is not below the issuer. */
const discovery = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2' })
const as = await oauth.processDiscoveryResponse(issuer, discovery)

const nameless = oauth.None()
const confidential = () => oauth.ClientSecretBasic(brief.client_secret)

async function privateKey() {
  const curve = { name: 'ECDSA', namedCurve: 'P-256' }
  const key = await crypto.subtle.importKey('jwk', brief.private_key, curve, false, ['sign'])
  return { key, kid: brief.private_key.kid }
}

/** What one request for a code is made of: its parameters, and what its answer is checked against. */
async function request(more = {}) {
  const [verifier, state, nonce] = [
    oauth.generateRandomCodeVerifier(),
    oauth.generateRandomState(),
    oauth.generateRandomNonce(),
  ]
  const parameters = {
    client_id,
    response_type: 'code',
    redirect_uri,
    scope: SCOPE,
    resource,
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...more,
  }
  return { parameters, verifier, state, nonce }
}

function authorize(parameters) {
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams(parameters)
  return url
}

/** A request and its answer; once more where the server wants its nonce in the proof. */
async function exchanged(send, process) {
  try {
    return await process(await send())
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return process(await send())
  }
}

const push = (authentication, parameters, DPoP) =>
  exchanged(
    () => oauth.pushedAuthorizationRequest(as, client, authentication, parameters, { DPoP }),
    (response) => oauth.processPushedAuthorizationResponse(as, client, response),
  )

/** Tokens for an answer to the request, whose ID token is verified with the issuer's keys. */
async function redeemed(authentication, answer, asked, DPoP) {
  const parameters = oauth.validateAuthResponse(as, client, answer, asked.state)
  return exchanged(
    () =>
      oauth.authorizationCodeGrantRequest(as, client, authentication, parameters, redirect_uri, asked.verifier, {
        DPoP,
      }),
    async (response) => {
      const expected = { expectedNonce: asked.nonce, requireIdToken: true }
      const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, expected)
      await oauth.validateApplicationLevelSignature(as, response)
      return tokens
    },
  )
}

const refresh = (authentication, token, DPoP) =>
  exchanged(
    () => oauth.refreshTokenGrantRequest(as, client, authentication, token, { DPoP }),
    (response) => oauth.processRefreshTokenResponse(as, client, response),
  )

const userinfo = (token, sub, DPoP) =>
  exchanged(
    () => oauth.userInfoRequest(as, client, token, { DPoP }),
    (response) => oauth.processUserInfoResponse(as, client, sub, response),
  )

/** What the tokens are good for, and what follows them. */
async function used(authentication, tokens, nonce, DPoP) {
  const claims = oauth.getValidatedIdTokenClaims(tokens)
  const refreshed = await refresh(authentication, tokens.refresh_token, DPoP)
  return {
    tokens,
    claims,
    nonce,
    userinfo: await userinfo(tokens.access_token, claims.sub, DPoP),
    refreshed,
    refreshed_claims: oauth.getValidatedIdTokenClaims(refreshed),
    refreshed_userinfo: await userinfo(refreshed.access_token, claims.sub, DPoP),
  }
}

async function login(authentication, url, asked, DPoP) {
  const { url: arrived } = await visit(url)
  return used(authentication, await redeemed(authentication, arrived, asked, DPoP), asked.nonce, DPoP)
}

/** The end: the person is sent to log out, and what came of their login is over. */
async function loggedOut(authentication, { tokens, claims, refreshed: { access_token, refresh_token } }) {
  const end = new URL(as.end_session_endpoint)
  end.search = new URLSearchParams({ id_token_hint: tokens.id_token, post_logout_redirect_uri, state: 'gone' })
  const { url: goodbye } = await visit(end)
  const again = await request({ prompt: 'none' })
  const { url: back } = await visit(authorize(again.parameters))
  return {
    goodbye,
    silent: await refusal(() => redeemed(authentication, back, again)),
    refresh_after: await refusal(() => refresh(authentication, refresh_token)),
    userinfo_after: await refused(() => userinfo(access_token, claims.sub)),
  }
}

const serviceToken = (authentication) =>
  exchanged(
    () => oauth.clientCredentialsGrantRequest(as, client, authentication, { scope: 'orders:read', resource }),
    (response) => oauth.processClientCredentialsResponse(as, client, response),
  )

await show({
  async code() {
    const asked = await request()
    const found = await login(confidential(), authorize(asked.parameters), asked)
    const headers = { authorization: `Bearer ${found.tokens.access_token}` }
    const call = new Request(brief.api, { headers })
    const at_the_api = await oauth.validateJwtAccessToken(as, call, resource)
    return { ...found, at_the_api, ...(await loggedOut(confidential(), found)) }
  },

  async par_and_form_post() {
    const keyed = oauth.PrivateKeyJwt(await privateKey())
    const asked = await request({ response_mode: 'form_post' })
    const { request_uri } = await push(keyed, asked.parameters)
    const sent = { client_id, request_uri }
    const { url, form } = await visit(authorize(sent))
    const tokens = await redeemed(keyed, new URLSearchParams(form), asked)
    return { ...(await used(keyed, tokens, asked.nonce)), sent, query: url.search }
  },

  async signed_request() {
    const keyed = oauth.PrivateKeyJwt(await privateKey())
    const asked = await request()
    const signed = await oauth.issueRequestObject(as, client, asked.parameters, await privateKey())
    const { request_uri } = await push(keyed, { client_id, request: signed })
    return login(keyed, authorize({ client_id, request_uri }), asked)
  },

  async dpop() {
    const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
    const thief = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
    const asked = await request()
    const { request_uri } = await push(nameless, asked.parameters, DPoP) // binds the code, too
    const found = await login(nameless, authorize({ client_id, request_uri }), asked, DPoP)
    const call = (handle) =>
      exchanged(
        () =>
          oauth.protectedResourceRequest(found.refreshed.access_token, 'GET', new URL(brief.api), undefined, null, {
            DPoP: handle,
            [oauth.allowInsecureRequests]: true, // this test's API has no TLS
          }),
        (response) => response.status,
      )
    return {
      ...found,
      api: await call(DPoP),
      without_proof: await refusal(() => call()),
      another_key: await refusal(() => call(thief)),
    }
  },

  async device() {
    const started = await oauth.deviceAuthorizationRequest(as, client, nameless, { scope: SCOPE, resource })
    const device = await oauth.processDeviceAuthorizationResponse(as, client, started)
    const heading = await connect(device.verification_uri_complete)
    const tokens = await exchanged(
      () => oauth.deviceCodeGrantRequest(as, client, nameless, device.device_code),
      (response) => oauth.processDeviceCodeResponse(as, client, response),
    )
    return { ...(await used(nameless, tokens)), heading }
  },

  async client_credentials() {
    return { tokens: await serviceToken(confidential()) }
  },

  async private_key_jwt() {
    return { tokens: await serviceToken(oauth.PrivateKeyJwt(await privateKey())) }
  },

  async introspection() {
    const { access_token } = await serviceToken(confidential())
    const introspect = async () => {
      const options = { requestJwtResponse: true } // RFC 9701
      const response = await oauth.introspectionRequest(as, client, confidential(), access_token, options)
      const told = await oauth.processIntrospectionResponse(as, client, response)
      await oauth.validateApplicationLevelSignature(as, response)
      return told
    }
    const before = await introspect()
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, confidential(), access_token))
    const inactive = (told) => (told.active ? null : told)
    return { before, after: await soon(async () => inactive(await introspect())) }
  },

  async tampering() {
    const asked = await request()
    const { url } = await visit(authorize(asked.parameters))
    const altered = (expected, answer = {}) => {
      const arrived = new URL(url)
      for (const [name, value] of Object.entries(answer)) arrived.searchParams.set(name, value)
      return refusal(() => redeemed(confidential(), arrived, { ...asked, ...expected }))
    }
    return {
      state: await altered({ state: oauth.generateRandomState() }),
      iss: await altered({}, { iss: 'https://evil.example' }),
      code: await altered({}, { code: 'yac_another' }),
      verifier: await altered({ verifier: oauth.generateRandomCodeVerifier() }),
      nonce: await altered({ nonce: oauth.generateRandomNonce() }), // so far nothing has used the code up
      replay: await altered({}),
    }
  },
})
