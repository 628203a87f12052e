# `workerd serve --experimental isolate.capnp`: loads the built Worker into a new isolate for each id.
# bench/start.mjs puts the two built files beside a copy of this folder.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .loader)],
  sockets = [(name = "http", http = (), service = "main")],
);

const loader :Workerd.Worker = (
  modules = [(name = "loader.mjs", esModule = embed "loader.mjs")],
  compatibilityDate = "2026-11-01",
  bindings = [
    (name = "SCRIPT", text = embed "index.js"),
    (name = "WASM", data = embed "index_bg.wasm"),
    (name = "LOADER", workerLoader = (id = "isolates")),
  ],
);
