"""An organisation of its own for Python's tests, and scripted upstreams to register in it."""

import json
import os
import pathlib
import subprocess
import urllib.request
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[3]
E2E = json.loads(os.environ["TIDEGATE_E2E"])
MODEL = E2E["model"]["model"]
BASE_URL = f"{E2E['url']}/v1"
PATIENCE_S = 20


def send(method, url, body=None, headers=()):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json", **dict(headers)}, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
        return json.load(reply)


class Organisation:
    """With the real model server registered in it, or another one, under the same name."""

    def __init__(self, server=E2E["model"]["url"], policy=None, **fields):
        self.name = f"py-{uuid.uuid4().hex[:16]}"
        if policy:
            self.admin("PUT", "policies/reliability", policy)
        self.server = self.admin("POST", "register", {"model_name": MODEL, "endpoint_url": server, "max_concurrency": 4, **fields})["registration_id"]
        self.key = self.mint()

    def admin(self, method, path, body=None):
        return send(method, f"{E2E['url']}/admin/{path}", body, {"x-api-key": E2E["admin_key"], "x-tidegate-org": self.name})

    def mint(self, **fields):
        return self.admin("POST", "keys", {"name": "python", **fields})["key"]

    def close(self):
        self.admin("DELETE", f"register/{self.server}")


class Upstream:
    """A server that does what it is told (tests/upstream)."""

    # The model's name there.
    MODEL = "tiny"

    def __init__(self, *rules):
        binary = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "tidegate-upstream"
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().removeprefix("listening ").strip()
        self.control = send("GET", f"{self.url}/_control/info")["control_url"]
        self.script(*rules)

    def script(self, *rules):
        """Each rule is a behaviour, given as its name and fields, and how often it is shown."""
        return self.script_rules(*({"path": "/v1/chat/completions", **({"times": times} if times else {}), "behaviour": {"do": do, **fields}} for do, fields, times in rules))

    def script_rules(self, *rules):
        """Whole rules, as tests/upstream reads them."""
        return send("PUT", f"{self.control}/_control/script", {"rules": list(rules)})

    def posts(self):
        requests = send("GET", f"{self.control}/_control/journal")["requests"]
        return [entry for entry in requests if entry["method"] == "POST"]

    def until_aborted(self):
        """Waits, without polling, until a client has left."""
        return send("GET", f"{self.control}/_control/journal?aborted=1&wait_ms={PATIENCE_S * 1000}")

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def scripted(case, *rules, policy=None):
    """An upstream and an organisation around it, both gone with the test."""
    upstream = Upstream(*rules)
    case.addCleanup(upstream.end)
    org = Organisation(upstream.url, policy, upstream_model=Upstream.MODEL)
    case.addCleanup(org.close)
    return upstream, org


# Once 429 and then good: what a client does with `Retry-After`.
ONE_REFUSAL = ("status", {"status": 429, "headers": [["Retry-After", "1"]]}, 1)
NO_SECOND_TRY = {"max_retries": 0, "hedge": False}
