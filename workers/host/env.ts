// What the environment binds, and the part of it that the Wasm side reads.
import type { ObjectHost } from "./object";

type Namespace = DurableObjectNamespace<ObjectHost>;

export interface Env {
  DIRECTORY: Namespace;
  FLEET: Namespace;
  MODEL: Namespace;
  INSTANCE: Namespace;
  KEY: Namespace;
  JOURNAL: Namespace;
  ACCOUNT: Namespace;
  LEDGER: Namespace;
  /** The files of `build/assets`: Cloudflare's own binding, or a disk service of workerd's. */
  ASSETS: Fetcher;
  /** The administrator's key; without one the admin routes refuse everybody. */
  ADMIN_KEY?: string;
  TIDEGATE_SECRET?: string;
  /** The secret before the last rotation: still opens what it sealed. */
  TIDEGATE_SECRET_PREVIOUS?: string;
  /** "1" lets 127.0.0.0/8 and localhost be registered. Never in production. */
  ALLOW_LOOPBACK?: string;
  /** Private hosts and networks that may be registered, separated by commas. */
  ALLOW_HOSTS?: string;
  /** Web origins whose pages may call `/v1`, separated by commas, or `*`. */
  CORS_ORIGINS?: string;
  /** The header in which the platform or a proxy tells the caller's address, whatever the caller sent. */
  CLIENT_ADDRESS_HEADER?: string;
  /** Where vendors are, if not where they are for everybody: `runpod=http://127.0.0.1:9201`, separated by
   * commas. For stand-ins and proxies. */
  VENDOR_ORIGINS?: string;
  /** Where rented machines and their vendors can call this gateway. */
  PUBLIC_URL?: string;
  /** "1" where the platform has no cron: the directory keeps the minute itself. */
  ALARM_CRON?: string;
  /** "1" opens `POST /debug/panic`, for tests. Never in production. */
  FAULTS?: string;
}

/** As `workers/src/config.rs` reads it. */
export function bindings(env: Env): string {
  return JSON.stringify({
    admin_key: env.ADMIN_KEY ?? null,
    secret: env.TIDEGATE_SECRET ?? "",
    previous_secret: env.TIDEGATE_SECRET_PREVIOUS ?? null,
    allow_loopback: env.ALLOW_LOOPBACK === "1",
    allow_hosts: env.ALLOW_HOSTS ?? "",
    cors_origins: env.CORS_ORIGINS ?? "",
    client_address_header: env.CLIENT_ADDRESS_HEADER ?? "",
    vendor_origins: env.VENDOR_ORIGINS ?? "",
    public_url: env.PUBLIC_URL ?? "",
  });
}
