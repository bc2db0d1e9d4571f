// node server.mjs PORT: TimescaleDB with its community features on loopback, data in memory.
// There is one session, wiped for each client that comes. More than one may connect, because that
// a client left is noticed only after the next one came.
import { PGlite } from '@electric-sql/pglite';
import { timescaledb } from '@electric-sql/pglite/timescaledb';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

// Node 18 (Debian 12) has none.
globalThis.CustomEvent ??= class extends Event {
  constructor(type, options) {
    super(type, options);
    this.detail = options?.detail ?? null;
  }
};

const port = Number(process.argv[2]);
const db = await PGlite.create({ extensions: { timescaledb } });
await db.exec('CREATE EXTENSION IF NOT EXISTS timescaledb');
const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port, maxConnections: 10 });
server.addEventListener('connection', () => db.exec('DISCARD ALL').catch(console.error));
await server.start();
console.log('ready');

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await server.stop();
    await db.close();
    process.exit(0);
  });
}
