// What the page does with oidc-client-ts, which is there as `oidc`. It knows the issuer and what its client registered.
const registration = await (await fetch('/registration.json')).json()
const bound = registration.dpop
const manager = new oidc.UserManager({
  authority: registration.issuer,
  client_id: registration.client_id,
  redirect_uri: registration.redirect_uri,
  post_logout_redirect_uri: registration.post_logout_redirect_uri,
  resource: registration.resource,
  scope: 'openid profile orders:read',
  automaticSilentRenew: false, // the test says when
  loadUserInfo: !bound, // oidc-client-ts asks userinfo with a bearer token only
  ...(bound && { dpop: { bind_authorization_code: true, store: new oidc.IndexedDbDPoPStore() } }),
})

function show(heading, found) {
  document.querySelector('#found').textContent = JSON.stringify(found ?? null)
  document.querySelector('h1').textContent = heading
}

/** Whether the address is an answer of the issuer's, and what came of it. */
async function arrived() {
  switch (location.pathname) {
    case '/callback':
      show('Welcome', await manager.signinCallback())
      break
    case '/goodbye':
      show('Goodbye', (await manager.signoutCallback())?.userState)
      break
    default:
      show('Nobody')
  }
}

/** Userinfo with a proof of the key, and the nonce that the issuer wants in it. */
async function whoAmI(nonce) {
  const user = await manager.getUser()
  const url = await manager.metadataService.getUserInfoEndpoint()
  const DPoP = await manager.dpopProof(url, user, 'GET', nonce)
  const answer = await fetch(url, { headers: { Authorization: `DPoP ${user.access_token}`, DPoP } })
  if (answer.status === 401 && nonce === undefined) return whoAmI(answer.headers.get('DPoP-Nonce'))
  return answer.json()
}

const buttons = {
  login: () => manager.signinRedirect({ nonce: crypto.randomUUID() }),
  silent: () => manager.signinRedirect({ prompt: 'none' }),
  refresh: async () => show('Refreshed', await manager.signinSilent()),
  ask: async () => show('You', await whoAmI()),
  revoke: async () => show('Revoked', await manager.revokeTokens(['access_token'])),
  logout: () => manager.signoutRedirect({ state: 'gone' }),
}
const refused = (error) => show(`Refused: ${error.error ?? error.message}`)
for (const [name, press] of Object.entries(buttons)) {
  document.querySelector(`#${name}`).onclick = () => {
    show('Wait')
    press().catch(refused)
  }
}
await arrived().catch(refused)
