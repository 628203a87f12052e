"""Starts llama.cpp's own HTTP server with one small model.

Prints one line of JSON on standard output when `/health` answers:
    {"url": "http://127.0.0.1:PORT", "model": "tiny-chat", "pid": 123}
Everything the engine logs goes to standard error. Ends with status 0 on SIGTERM or SIGINT, and when
whoever started it is gone: its parent has died, or a pipe on its standard input has been closed.

As the container of a rented GPU it is told the rest by its environment. With LLAMA_API_KEY requests need that
key. With TIDEGATE_BOOT_URL and TIDEGATE_BOOT_TOKEN it calls home, first {"nonce", "says": "booted"} until that
is heard, then {"nonce", "says": "alive"} as often as the answer's `heartbeat_ms` wants; told 410, it ends.
"""

import argparse
import json
import os
import pathlib
import secrets
import signal
import socket
import stat
import sys
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
# A model of 1.4 M parameters loads in a fraction of a second; a busy machine may need far longer.
READY_WITHIN_S = 60
PARENT_POLL_S = 0.5
CALL_TIMEOUT_S = 10
CALL_AGAIN_S = 2
HEARTBEAT_MS = 15_000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0 = any free port")
    parser.add_argument("--model", default=str(HERE / "tiny-chat-f32.gguf"), help="path of a GGUF file")
    parser.add_argument("--alias", default="tiny-chat", help="the model's name in the API")
    key = os.environ.get("LLAMA_API_KEY") or None
    parser.add_argument("--api-key", default=key, help="when given, requests need it as their bearer token")
    parser.add_argument("--slots", type=int, default=4, help="requests answered side by side")
    return parser.parse_args()


def free_port(host, wanted):
    """The port to use. Fails when it is taken, before another server's /health is mistaken for ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, wanted))
        return probe.getsockname()[1]


def parameters(options, port):
    import xllamacpp as engine

    p = engine.CommonParams()
    p.model.path = options.model
    p.model_alias = {options.alias}
    p.hostnames = [options.host]
    p.port = port
    if options.api_key:
        p.api_keys = [options.api_key]
    p.n_ctx = 8192
    p.n_parallel = options.slots
    p.n_threads_http = 8
    p.n_predict = 256
    p.use_jinja = True
    p.kv_unified = True
    p.warmup = False
    p.endpoint_metrics = True
    p.endpoint_slots = True
    # More threads than free cores make each token wait for the scheduler: seconds, not milliseconds.
    p.cpuparams.n_threads = 1
    p.cpuparams_batch.n_threads = 1
    # Embeddings on the same port.
    p.embedding = True
    p.pooling_type = engine.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return engine, p


def wait_until_ready(url):
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url + "/health", timeout=5) as reply:
                if reply.status == 200:
                    return True
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.02)
    return False


def end_with_standard_input(ended):
    """A pipe is a lifeline; a terminal, a file or /dev/null says nothing about the caller."""
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def drain():
        while os.read(0, 4096):
            pass
        ended.set()

    threading.Thread(target=drain, daemon=True).start()


class Unmoved(urllib.request.HTTPRedirectHandler):
    """The token goes to the address that was given and to no other."""

    def redirect_request(self, *_):
        return None


def call_home(url, token, ended):
    """Calls until it is heard, and then until it is told to end."""
    opener = urllib.request.build_opener(Unmoved, urllib.request.ProxyHandler({}))
    nonce = secrets.token_hex(16)
    says, wait_s = "booted", 0
    while not ended.wait(wait_s):
        body = json.dumps({"nonce": nonce, "says": says}).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "User-Agent": "box"}
        try:
            with opener.open(urllib.request.Request(url, body, headers), timeout=CALL_TIMEOUT_S) as reply:
                heard = json.loads(reply.read() or b"{}")
            says, wait_s = "alive", max(heard.get("heartbeat_ms", HEARTBEAT_MS) / 1000, 0.05)
        except urllib.error.HTTPError as answer:
            answer.close()
            if answer.code == 410:
                ended.set()
            wait_s = CALL_AGAIN_S
        except (OSError, ValueError, AttributeError, TypeError):
            wait_s = CALL_AGAIN_S


def main():
    options = arguments()
    parent = os.getppid()
    ended = threading.Event()
    home, token = os.environ.get("TIDEGATE_BOOT_URL"), os.environ.get("TIDEGATE_BOOT_TOKEN")
    if home and token:
        threading.Thread(target=call_home, args=(home, token, ended), daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        end_with_standard_input(ended)
    except OSError:
        pass  # Started without a standard input.
    # The engine writes to descriptor 1 too: keep that one for the ready line alone.
    ready_line = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        port = free_port(options.host, options.port)
    except OSError as problem:
        sys.exit(f"port {options.port} cannot be listened on, so no server was started: {problem}")
    if not os.path.isfile(options.model):
        sys.exit(f"there is no model file {options.model}; give the path of a GGUF file with --model")
    engine, p = parameters(options, port)
    _listening = engine.Server(p)  # For as long as this reference lives.
    url = f"http://{options.host}:{port}"
    if not wait_until_ready(url):
        sys.exit(f"{url}/health did not answer 200 within {READY_WITHIN_S} s; the engine's log is above")
    print(json.dumps({"url": url, "model": options.alias, "pid": os.getpid()}), file=ready_line, flush=True)
    while not ended.wait(PARENT_POLL_S):
        if os.getppid() != parent:
            break
    sys.stderr.flush()
    # Torn down in order, the engine waits 30 s for an open stream; it has nothing to save.
    os._exit(0)


if __name__ == "__main__":
    main()
