# `workerd serve portkey.capnp`: Portkey's gateway as a Worker, on the same runtime and compatibility
# date as ours. bench/peers.mjs bundles it, puts a copy of this beside it, and gives the address on the command line.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .portkey),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", http = (), service = "main")],
);

const portkey :Workerd.Worker = (
  modules = [(name = "worker.mjs", esModule = embed "portkey.mjs")],
  compatibilityDate = "2026-11-01",
  bindings = [(name = "ENVIRONMENT", text = "production")],
);
