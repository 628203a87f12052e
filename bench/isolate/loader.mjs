// `/tidegate/1` asks the gateway in an isolate that is made when the number is new; `/empty/1` asks a
// Worker that does nothing, which is what an isolate costs without ours in it.
const SECRET = "of no use outside this measurement, and long enough";

const WORKERS = {
  empty: () => ({ modules: { "index.js": { js: "export default { fetch: () => new Response() };" } }, env: {} }),
  tidegate: ({ SCRIPT, WASM }) => ({
    modules: { "index.js": { js: SCRIPT }, "index_bg.wasm": { wasm: WASM } },
    env: { ADMIN_KEY: SECRET, TIDEGATE_SECRET: SECRET },
  }),
};

export default {
  fetch(request, env) {
    const [, kind, id] = new URL(request.url).pathname.split("/");
    const worker = env.LOADER.get(`${kind}/${id}`, () => ({
      compatibilityDate: "2026-11-01",
      compatibilityFlags: ["enable_request_signal"],
      mainModule: "index.js",
      ...WORKERS[kind](env),
    }));
    // A key that cannot be ours is refused without asking an object: nothing but the isolate is measured.
    return worker.getEntrypoint().fetch("http://gateway/v1/models", { headers: { authorization: "Bearer unknown" } });
  },
};
