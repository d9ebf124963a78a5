// oidc-provider's state in a SQLite file, and an event for each token that it issues: as durable as yett's own, in WAL
// with synchronous=FULL. Owns the tables and their transactions. Not when an event is due.

import { DatabaseSync } from '@photostructure/sqlite';

const SCHEMA = `
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE models (
    model TEXT NOT NULL,
    id TEXT NOT NULL,
    payload TEXT NOT NULL,
    grant_id TEXT,
    uid TEXT,
    user_code TEXT,
    consumed_at INTEGER,
    expires_at INTEGER,
    PRIMARY KEY (model, id)
) WITHOUT ROWID;
CREATE INDEX ix_models_grant ON models (grant_id) WHERE grant_id IS NOT NULL;
CREATE INDEX ix_models_uid ON models (uid) WHERE uid IS NOT NULL;
CREATE INDEX ix_models_user_code ON models (user_code) WHERE user_code IS NOT NULL;
CREATE TABLE events (id INTEGER PRIMARY KEY, type TEXT NOT NULL, event BLOB NOT NULL);
`;
const COLUMNS = 'payload, consumed_at, expires_at';

/** One file. Whoever writes waits until it is on the disk; with `shared`, writes of one turn of the event loop share a transaction. */
export class Store {
  #database;
  #shared;
  #waiting = [];
  #statements;

  constructor(file, { shared }) {
    this.#database = new DatabaseSync(file);
    this.#database.exec(SCHEMA);
    this.#shared = shared;
    this.#statements = {
      find: this.#database.prepare(`SELECT ${COLUMNS} FROM models WHERE model = ? AND id = ?`),
      findByUid: this.#database.prepare(`SELECT ${COLUMNS} FROM models WHERE uid = ? AND model = ?`),
      findByUserCode: this.#database.prepare(`SELECT ${COLUMNS} FROM models WHERE user_code = ? AND model = ?`),
      upsert: this.#database.prepare('INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?, ?, ?, NULL, ?)'),
      consume: this.#database.prepare('UPDATE models SET consumed_at = ? WHERE model = ? AND id = ?'),
      destroy: this.#database.prepare('DELETE FROM models WHERE model = ? AND id = ?'),
      revokeByGrantId: this.#database.prepare('DELETE FROM models WHERE grant_id = ? AND model = ?'),
      record: this.#database.prepare('INSERT INTO events (type, event) VALUES (?, ?)'),
    };
  }

  /** The row, as the model that was stored; nothing where there is none or its time is over. */
  read(statement, ...values) {
    const row = this.#statements[statement].get(...values);
    if (row === undefined || (row.expires_at !== null && row.expires_at <= now())) return undefined;
    const payload = JSON.parse(row.payload);
    return row.consumed_at === null ? payload : { ...payload, consumed: row.consumed_at };
  }

  /** Resolved once it is committed. */
  write(statement, ...values) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ statement, values, resolve, reject });
      if (!this.#shared) this.#commit();
      else if (this.#waiting.length === 1) setImmediate(() => this.#commit());
    });
  }

  record(event) {
    return this.write('record', event.type, Buffer.from(JSON.stringify(event)));
  }

  #commit() {
    const batch = this.#waiting;
    this.#waiting = [];
    try {
      if (batch.length > 1) this.#database.exec('BEGIN IMMEDIATE');
      for (const { statement, values } of batch) this.#statements[statement].run(...values);
      if (batch.length > 1) this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      for (const { reject } of batch) reject(error);
      return;
    }
    for (const { resolve } of batch) resolve();
  }
}

/** What oidc-provider asks of a store, for one of its models. */
export class Adapter {
  #store;
  #model;

  constructor(store, model) {
    this.#store = store;
    this.#model = model;
  }

  async upsert(id, payload, expiresIn) {
    const { grantId = null, uid = null, userCode = null } = payload;
    const expiresAt = expiresIn ? now() + expiresIn : null;
    await this.#store.write('upsert', this.#model, id, JSON.stringify(payload), grantId, uid, userCode, expiresAt);
  }

  async find(id) {
    return this.#store.read('find', this.#model, id);
  }

  async findByUid(uid) {
    return this.#store.read('findByUid', uid, this.#model);
  }

  async findByUserCode(userCode) {
    return this.#store.read('findByUserCode', userCode, this.#model);
  }

  async consume(id) {
    await this.#store.write('consume', now(), this.#model, id);
  }

  async destroy(id) {
    await this.#store.write('destroy', this.#model, id);
  }

  async revokeByGrantId(grantId) {
    await this.#store.write('revokeByGrantId', grantId, this.#model);
  }
}

function now() {
  return Math.floor(Date.now() / 1000);
}
