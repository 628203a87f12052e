"""The codec as a program: one JSON object a line, in and out."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")

CREDENTIAL = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
MARKER = "tidegate-0123456789-srv_0bPELAU4eqF0bPErPOCgqv-1"


def spec(**other):
    """A machine to rent."""
    return {
        "marker": MARKER,
        "region": "us-east-1",
        "machine_type": "g6.xlarge",
        "gpu_count": 1,
        "disk_gb": 120,
        "runtime": {"image": "vllm/vllm-openai:v0.9.1", "args": ["--model", "it's"], "env": {"A": "1"}, "port": 8000},
        "lifetime_secs": 43200,
        "callback": {"url": "https://gw.example/webhooks/boot/org~srv_a"},
        **other,
    }


class Codec:
    """A run of one of the examples. Closes with the block that opened it."""

    def __init__(self, example, **always):
        self.always = {"credential": CREDENTIAL, "boot_token": "boot-0123456789abcdef", **always}
        program = TARGET / "debug" / "examples" / example
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([program], text=True, **pipes)

    def ask(self, request=None, **other):
        line = {**self.always, **other}
        if request is not None:
            line["request"] = request
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()
