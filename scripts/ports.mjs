// Which port to listen on, and whether it can be had.
import { createServer } from "node:net";
import { Trouble } from "./processes.mjs";

/** The port that the environment variable `name` asks for, else `fallback`. */
export function portFrom(env, name, fallback) {
  const port = Number(env[name] ?? fallback);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new Trouble(`${name} must be a port number, not "${env[name]}"`);
  return port;
}

/** Fails when somebody listens there already: their answers would be taken for ours. */
export function assertFree(name, port, host = "127.0.0.1") {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error) => reject(new Trouble(`port ${port} on ${host} cannot be used (${error.code}). Choose another with ${name}=`)));
    probe.listen(port, host === "*" ? undefined : host, () => probe.close(resolve));
  });
}
