// What a program and the test that started it say to each other: one JSON value a line, in both directions.
import { createInterface } from 'node:readline'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const hear = async () => JSON.parse((await lines.next()).value)
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

/** What the test wants: the feature to show, and what a developer copies into a library's configuration. */
export const brief = await hear()

/** Sends the person there; resolves with where they arrived in the end, and the form that they brought along, if any. */
export async function visit(url) {
  say({ visit: String(url) })
  const { url: arrived, form } = await hear()
  return { url: new URL(arrived), form }
}

/** Shows the person where to connect this device; resolves with the heading of the last page that they saw. */
export async function connect(url) {
  say({ connect: url })
  return (await hear()).heading
}

class Accepted extends Error {}

/** Why the library or the server did not want it, in the protocol's word or else in the library's. */
export async function refusal(attempt) {
  try {
    await attempt()
  } catch (error) {
    const reason = error.error ?? error.cause?.[0]?.parameters?.error ?? error.code
    if (reason === undefined) throw error
    return reason
  }
  throw new Accepted('nobody refused it')
}

/** The first answer that is not `null`. What ends in one process is heard of by others within a second. */
export async function soon(ask) {
  const deadline = Date.now() + 5000
  for (;;) {
    const answer = await ask()
    if (answer !== null) return answer
    if (Date.now() > deadline) throw new Error(`not within 5 seconds: ${ask}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The refusal of what may go well for a moment still. */
export const refused = (attempt) =>
  soon(() => refusal(attempt).catch((error) => (error instanceof Accepted ? null : Promise.reject(error))))

/** Shows the feature that the test asked for, says what was found, and ends. */
export async function show(features) {
  say({ found: await features[brief.feature]() })
  process.exit()
}
