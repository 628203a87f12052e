"""A simcloud of its own for each test class, and its control port."""

import json
import os
import pathlib
import subprocess
import unittest
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("SIMCLOUD_BINARY") or str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug" / "tidegate-simcloud")
QUICK = ["provisioning_ms", "starting_ms", "pending_ms", "stop_ms", "terminate_ms", "status_check_ms"]
PATIENCE_MS = 20_000


class Cloud:
    def __init__(self, *settings):
        words = [f"delays.{name}=20" for name in QUICK] + ["machines_alone=true", "runpod_calls.minute=100000", *settings]
        command = [BINARY] + [word for setting in words for word in ("--set", setting)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.hello = json.loads(self.process.stdout.readline())
        self.key = {key["vendor"]: key for key in self.hello["keys"]}

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def control(self, method, path, body=None):
        status, _, text = ask(method, f"{self.hello['control']}/control/{path}", body)
        assert status == 200, f"{path}: {status} {text}"
        return json.loads(text)

    def once(self, operation, **fault):
        return self.control("POST", "faults", {"operation": operation, "times": 1, "fault": fault})

    def until(self, machine, state):
        found = self.control("GET", f"machines?id={machine}&state={state}&wait_ms={PATIENCE_MS}")
        assert found["complete"], f"{machine} is not {state}: {self.control('GET', 'machines')}"
        return found["machines"][0]

    def bill(self, machine):
        return next(bill for bill in self.control("GET", "meter")["machines"] if bill["id"] == machine)


def ask(method, url, body=None, headers=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.headers, reply.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers, refused.read().decode()


class CloudTest(unittest.TestCase):
    settings = ()

    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud(*cls.settings)
        cls.addClassCleanup(cls.cloud.end)

    def setUp(self):
        self.cloud.control("POST", "reset")
