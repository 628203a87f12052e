// The floor with a durable hop: the object inserts one SQLite row and deletes it again by its key,
// in one turn. The reply waits for the write (output gate), as a lease must.
export class Hop {
  constructor(state) {
    this.sql = state.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS lease (id TEXT PRIMARY KEY, at INTEGER) WITHOUT ROWID");
  }

  async fetch() {
    const id = crypto.randomUUID();
    this.sql.exec("INSERT INTO lease VALUES (?, ?)", id, Date.now());
    this.sql.exec("DELETE FROM lease WHERE id = ?", id);
    return new Response("ok");
  }
}

export default {
  async fetch(request, env) {
    const body = await request.arrayBuffer();
    const hop = env.HOP.get(env.HOP.idFromName("floor"));
    await (await hop.fetch("http://hop/")).text();
    return fetch(env.UPSTREAM + new URL(request.url).pathname, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
  },
};
