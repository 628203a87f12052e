# `workerd serve floor-pump.capnp`: bench/run.mjs gives the listening address, the upstream and the
# folder of the objects on the command line and in the environment.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .floor),
    (name = "internet", network = (allow = ["public", "private"])),
    (name = "objects", disk = (writable = true)),
  ],
  sockets = [(name = "http", http = (), service = "main")],
);

const floor :Workerd.Worker = (
  modules = [(name = "worker.mjs", esModule = embed "worker-pump.mjs")],
  compatibilityDate = "2026-11-01",
  compatibilityFlags = ["enable_request_signal"],
  bindings = [
    (name = "HOP", durableObjectNamespace = "Hop"),
    (name = "UPSTREAM", fromEnvironment = "UPSTREAM"),
  ],
  durableObjectNamespaces = [(className = "Hop", uniqueKey = "tidegate-floor", enableSql = true)],
  durableObjectStorage = (localDisk = "objects"),
);
