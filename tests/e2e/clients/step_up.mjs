// A page that calls GET /admin/x and follows its challenges, with oidc-client-ts, which is there as `oidc`.
const registration = await (await fetch('/registration.json')).json()
const manager = new oidc.UserManager({
  authority: registration.issuer,
  client_id: registration.client_id,
  redirect_uri: registration.redirect_uri,
  resource: registration.resource,
  scope: 'openid admin',
  automaticSilentRenew: false,
})

function show(heading, found) {
  document.querySelector('#found').textContent = JSON.stringify(found ?? null)
  document.querySelector('h1').textContent = heading
}

/** The parameters of a challenge (RFC 9110 section 11.6.1); none of these values has a quote in it. */
function parameters(challenge) {
  return Object.fromEntries([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]))
}

async function call() {
  const user = await manager.getUser()
  const answer = await fetch(registration.api, { headers: { Authorization: `Bearer ${user?.access_token}` } })
  if (answer.ok) return show(`${answer.status}`, await answer.json())
  const challenge = parameters(answer.headers.get('WWW-Authenticate'))
  if (challenge.error !== 'insufficient_user_authentication') return show(`${answer.status}`, challenge)
  const { acr_values, max_age } = challenge
  return manager.signinRedirect({
    nonce: crypto.randomUUID(),
    state: { status: answer.status, challenge },
    ...(acr_values && { acr_values }),
    ...(max_age && { max_age: Number(max_age) }),
  })
}

const refused = (error) => show(`Refused: ${error.error ?? error.message}`)
for (const [name, press] of Object.entries({ login: () => manager.signinRedirect({ nonce: crypto.randomUUID() }), call })) {
  document.querySelector(`#${name}`).onclick = () => {
    show('Wait')
    press().catch(refused)
  }
}
if (location.pathname === '/callback') {
  const user = await manager.signinCallback().catch(refused)
  if (user) show('Welcome', { tokens: user.access_token, asked: user.state })
} else {
  show('Nobody')
}
