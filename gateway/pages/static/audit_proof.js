// Verifies in a browser, alone, what `yett audit prove` writes: that an event is in the log of a signed checkpoint.
//
//     entry = SHA-256(salt ‖ event), leaf = SHA-256(0x00 ‖ entry), node = SHA-256(0x01 ‖ left ‖ right)   RFC 9162, 2.1
//     the checkpoint is a C2SP signed note, with Ed25519
//
// Nothing in the file is believed: a field that is missing or of another kind is a reason not to believe the rest.

const MOST_HASHES = 64;
const LARGEST_NOTE = 16 * 1024;
const MARK = "\u2014 ";
const COUNT = /^(0|[1-9][0-9]{0,14})$/; // less than 2^53: a JSON number that says what it is
const utf8 = new TextEncoder();

/** What is wrong, in words for a person. */
export class Disproved extends Error {}

/**
 * Whether the file proves the event of this id.
 *
 * @param {string} file three lines: the header, the event, the end
 * @param {string} keyText the log's key, name+hash+base64
 * @param {string} eventId the event that was asked for: a proof of another one proves nothing about it
 * @returns {Promise<{position: number, size: number, event: string | null, signature: "right" | "unsupported"}>}
 *   "unsupported": the browser has no Ed25519, so that nobody has looked at the checkpoint's signature
 * @throws {Disproved}
 */
export async function verify(file, keyText, eventId) {
  const [header, filed, end] = lines(file);
  demand(header.yett_audit === 1 && header.kind === "events", "The file is no proof of an event.");
  demand(end.end === 1, "The file is not of one event.");
  const key = await parsedKey(keyText);
  const checkpoint = parsedNote(header.checkpoint, key);
  const signature = await signatureOf(checkpoint, key);
  const { position, leaf, event } = await parsedEvent(filed, eventId);
  demand(position < checkpoint.size, "The checkpoint has no such event.");
  demand(Array.isArray(filed.proof) && filed.proof.length <= MOST_HASHES, "The proof is malformed.");
  const root = await rootOf(leaf, position, checkpoint.size, filed.proof.map((text) => bytes(text, 32)));
  demand(root !== null && same(root, checkpoint.root), "The proof leads to another root than the checkpoint's.");
  return { position, size: checkpoint.size, event, signature };
}

/**
 * The root that a leaf, its place and an inclusion proof lead to (RFC 9162 section 2.1.3.2); null where the proof is
 * too long or too short.
 */
export async function rootOf(leaf, position, size, proof) {
  let place = BigInt(position);
  let last = BigInt(size) - 1n;
  if (place > last) return null;
  let found = leaf;
  for (const sibling of proof) {
    if (last === 0n) return null;
    if (place & 1n || place === last) {
      found = await nodeHash(sibling, found);
      while (place && !(place & 1n)) {
        place >>= 1n;
        last >>= 1n;
      }
    } else {
      found = await nodeHash(found, sibling);
    }
    place >>= 1n;
    last >>= 1n;
  }
  return last === 0n ? found : null;
}

function lines(file) {
  const found = typeof file === "string" ? file.split("\n") : [];
  demand(found.length === 4 && found[3] === "", "The file has not three lines.");
  return found.slice(0, 3).map((line) => {
    let parsed = null;
    try {
      parsed = JSON.parse(line);
    } catch {
      // told below
    }
    demand(parsed !== null && typeof parsed === "object", "A line of the file is not JSON.");
    return parsed;
  });
}

async function parsedEvent(filed, eventId) {
  demand(Number.isSafeInteger(filed.position) && filed.position >= 0, "The event's position is malformed.");
  const leaf = bytes(filed.leaf, 32);
  demand(typeof filed.event === "string", "The event was erased, or is not in the file.");
  const entry = await sha256(bytes(filed.salt, 16), utf8.encode(filed.event));
  demand(same(leaf, await sha256(Uint8Array.of(0), entry)), "The event is not the one that was hashed: it was altered.");
  let id = null;
  try {
    id = JSON.parse(filed.event).id;
  } catch {
    // told below
  }
  demand(id === eventId, "The proof is of another event.");
  return { position: filed.position, leaf, event: filed.event };
}

async function parsedKey(text) {
  const [name, hash, encoded, ...more] = typeof text === "string" ? text.trim().split("+") : [];
  // base64 has a plus of its own
  const written = bytes([encoded, ...more].join("+"), 33);
  demand(/^[!-*,-~]{1,400}$/.test(name) && written[0] === 1, "The key is malformed.");
  const digest = (await sha256(utf8.encode(`${name}\n`), written)).slice(0, 4);
  const hex = Array.from(digest, (each) => each.toString(16).padStart(2, "0")).join("");
  demand(hash === hex, "The key's hash does not belong to the key.");
  return { name, hash: digest, public: written.slice(1) };
}

function parsedNote(note, key) {
  demand(typeof note === "string" && note.length <= LARGEST_NOTE, "The checkpoint is malformed.");
  const gap = note.lastIndexOf("\n\n");
  demand(gap > 0 && note.endsWith("\n"), "The checkpoint bears no signature.");
  const text = note.slice(0, gap + 1);
  const [origin, size, root, ...rest] = text.split("\n");
  demand(rest.length > 0 && COUNT.test(size), "The checkpoint is malformed.");
  demand(origin === key.name, "The checkpoint is of another log than the key.");
  const signatures = [];
  for (const line of note.slice(gap + 2, -1).split("\n")) {
    const [name, encoded] = line.startsWith(MARK) ? line.slice(MARK.length).split(" ") : [];
    if (name !== key.name) continue;
    const signed = bytes(encoded, 68);
    if (same(signed.slice(0, 4), key.hash)) signatures.push(signed.slice(4));
  }
  demand(signatures.length > 0, "The checkpoint is not signed with the log's key.");
  return { text, size: Number(size), root: bytes(root, 32), signatures };
}

async function signatureOf(checkpoint, key) {
  let verifier;
  try {
    verifier = await crypto.subtle.importKey("raw", key.public, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    if (error.name === "NotSupportedError") return "unsupported";
    throw new Disproved("The key is malformed.");
  }
  for (const signature of checkpoint.signatures) {
    const right = await crypto.subtle.verify({ name: "Ed25519" }, verifier, signature, utf8.encode(checkpoint.text));
    demand(right, "The checkpoint's signature is wrong: it was altered.");
  }
  return "right";
}

/** So many bytes, in the one spelling that base64 has for them. */
function bytes(text, length) {
  let found = null;
  try {
    found = atob(text);
  } catch {
    // told below
  }
  demand(found !== null && found.length === length && btoa(found) === text, `Not the base64 of ${length} bytes.`);
  return Uint8Array.from(found, (each) => each.charCodeAt(0));
}

function nodeHash(left, right) {
  return sha256(Uint8Array.of(1), left, right);
}

async function sha256(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

function same(one, other) {
  return one.length === other.length && one.every((each, place) => each === other[place]);
}

function demand(condition, reason) {
  if (!condition) throw new Disproved(reason);
}
