"""RunPod's own OpenAPI document against the stand-in, in both directions.

What the stand-in answers must be as the document describes it; what the document does not allow the stand-in must
refuse, and take what it allows. The document comes with RunPod's documentation (runpod/docs,
`api-reference-v2/openapi.json`) and is not part of this project: TIDEGATE_SPECS names the folder that has it, as
`runpod-v2.json`.
"""

import copy
import json
import os
import pathlib
import re
import unittest
import urllib.parse

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from cloud import CloudTest, ask

FOLDER = os.environ.get("TIDEGATE_SPECS")
DOCUMENT = pathlib.Path(FOLDER or "/nowhere", "runpod-v2.json")
WHY_NOT = f"there is no {DOCUMENT}" if FOLDER else "TIDEGATE_SPECS is not set: RunPod's OpenAPI document is not at hand"
POD = {"name": "a", "image": "ghcr.io/x/server:1", "gpu": {"id": "NVIDIA L4", "count": 1}}
# In the document of RunPod's SDK for TypeScript, which is newer than this one.
NEWER = {"entrypoint", "cmd", "minRamPerGpu", "minVcpuCountPerGpu"}


class Document:
    def __init__(self):
        self.all = json.loads(DOCUMENT.read_text(encoding="utf-8"))
        resource = Resource.from_contents(self.all, default_specification=DRAFT202012)
        self.registry = Registry().with_resource("doc:", resource)

    def resolve(self, part):
        while "$ref" in part:
            inner = self.all
            for name in part["$ref"].removeprefix("#/").split("/"):
                inner = inner[name]
            part = inner
        return part

    def mistakes(self, pointer, value):
        validator = Draft202012Validator({"$ref": f"doc:#{pointer}"}, registry=self.registry, format_checker=FormatChecker())
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]

    def operation(self, method, path):
        for template, operations in self.all["paths"].items():
            shape = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template))
            if re.fullmatch(shape, path) and method.lower() in operations:
                return template, operations[method.lower()]
        raise AssertionError(f"the document has no {method} {path}")

    def judge(self, method, path, status, headers, text):
        """Mistakes in an answer, one line each."""
        template, operation = self.operation(method, path)
        key = str(status) if str(status) in operation["responses"] else "default"
        reference = operation["responses"][key]
        response = self.resolve(reference)
        found = []
        content = response.get("content")
        if content is None:
            return [f"{status} has a body"] if text else []
        kind = headers.get_content_type()
        if kind not in content:
            return [f"{status} is {kind}, not {', '.join(content)}"]
        where = reference["$ref"].removeprefix("#") if "$ref" in reference else "/paths/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in (template, method.lower(), "responses", key))
        where += "/content/" + kind.replace("/", "~1") + "/schema"
        found += self.mistakes(urllib.parse.quote(where, safe="/~"), json.loads(text))
        limits = [name for name in ("RateLimit", "RateLimit-Policy") if headers.get(name) is None]
        if limits and status not in (401, 413):
            found.append(f"{status} lacks {limits}")
        return found


@unittest.skipUnless(DOCUMENT.is_file(), WHY_NOT)
class RunPodTest(CloudTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.document = Document()

    def call(self, method, path, body=None, key=None):
        bearer = key or self.cloud.key["runpod"]["id"]
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        status, headers, text = ask(method, self.cloud.hello["runpod"] + path, body, headers)
        found = self.document.judge(method, path.split("?")[0], status, headers, text)
        self.assertEqual(found, [], f"{method} {path}: {status} {text}")
        return status, json.loads(text) if text else None

    def pod(self, **more):
        status, pod = self.call("POST", "/v2/pods", {**POD, **more})
        self.assertEqual(status, 201)
        return pod["id"]

    def test_a_pod_in_every_state_is_as_described(self):
        pod = self.pod(ports=["8000/http", "22/tcp"], env={"A": "b"}, mounts={"persistent": {"size": 20, "path": "/data"}}, args="--x")
        for state, action in (("RUNNING", "stop"), ("EXITED", "start"), ("RUNNING", "restart"), ("RUNNING", "terminate")):
            self.cloud.until(pod, state)
            status, told = self.call("GET", f"/v2/pods/{pod}")
            self.assertEqual((status, told["status"]), (200, state))
            self.assertIn(action, told["actions"])
            status, _ = self.call("POST", f"/v2/pods/{pod}/action", {"action": action})
            self.assertEqual(status, 204 if action == "terminate" else 200)
        self.cloud.until(pod, "TERMINATED")
        self.assertEqual(self.call("GET", f"/v2/pods/{pod}")[0], 404)
        self.cloud.once("create", do="boot_fails")
        failed = self.pod()
        self.cloud.until(failed, "ERROR")
        self.assertEqual(self.call("GET", f"/v2/pods/{failed}")[1]["status"], "ERROR")
        self.assertEqual(self.call("DELETE", f"/v2/pods/{failed}")[0], 204)

    def test_lists_and_changes_are_as_described(self):
        pods = [self.pod(name=name) for name in "abc"]
        status, first = self.call("GET", "/v2/pods?limit=2")
        self.assertEqual((status, len(first["pods"])), (200, 2))
        status, second = self.call("GET", f"/v2/pods?cursor={first['pagination']['nextCursor']}")
        self.assertEqual(sorted(pod["id"] for page in (first, second) for pod in page["pods"]), sorted(pods))
        self.assertEqual(self.call("PATCH", f"/v2/pods/{pods[0]}", {"name": "d", "globalNetworking": True})[1]["name"], "d")
        keys = {"keys": ["ssh-ed25519 AAAA me"]}
        self.assertEqual(self.call("PUT", "/v2/account/ssh-keys", keys), (200, keys))
        self.assertEqual(self.call("GET", "/v2/account/ssh-keys"), (200, keys))

    def test_refusals_are_as_described(self):
        pod = self.pod()
        self.cloud.until(pod, "RUNNING")
        self.assertEqual(self.call("POST", f"/v2/pods/{pod}/action", {"action": "start"})[0], 409)
        self.assertEqual(self.call("POST", f"/v2/pods/{pod}/action", {"action": "reset"})[0], 422)
        self.assertEqual(self.call("GET", "/v2/pods/nothing")[0], 404)
        self.assertEqual(self.call("GET", "/v2/pods", key="x")[0], 401)
        self.assertEqual(self.call("POST", "/v2/pods", {**POD, "gpu": {"id": "NVIDIA H200", "count": 1}})[0], 400)
        for fault, status in (("no_quota", 402), ("denied", 403), ("rate_limited", 429)):
            self.cloud.once("createPod", do=fault)
            headers = {"Authorization": f"Bearer {self.cloud.key['runpod']['id']}"}
            told, headers, text = ask("POST", self.cloud.hello["runpod"] + "/v2/pods", POD, headers)
            found = self.document.judge("POST", "/v2/pods", told, headers, text)
            self.assertEqual((told, [line for line in found if "lacks" not in line]), (status, []))

    def test_the_catalogue_is_as_described(self):
        for query in ("", "?include=AVAILABILITY&product=POD", "?include=AVAILABILITY&product=POD,SERVERLESS&count=8&cloud=COMMUNITY", "?include=AVAILABILITY&product=POD&countryCodes=IS"):
            self.assertEqual(self.call("GET", f"/v2/catalog/gpus{query}")[0], 200, query)
        for query in ("?include=AVAILABILITY", "?product=POD", "?count=1", "?countryCodes=FR"):
            self.assertEqual(self.call("GET", f"/v2/catalog/gpus{query}")[0], 400, query)
        self.assertEqual(self.call("GET", "/v2/catalog/gpus/NVIDIA%20L4?include=AVAILABILITY&product=POD")[0], 200)
        self.assertEqual(self.call("GET", "/v2/catalog/gpus/nothing")[0], 404)
        for query in ("", "?include=GPU_AVAILABILITY", "?include=GPU_AVAILABILITY,CPU_AVAILABILITY&regions=EUROPE,ASIA"):
            self.assertEqual(self.call("GET", f"/v2/catalog/datacenters{query}")[0], 200, query)

    def test_bills_are_as_described(self):
        pod = self.pod(mounts={"persistent": {"size": 20, "path": "/data"}})
        self.cloud.control("POST", "clock", {"advance_ms": 86_400_000})
        for query in ("", "?bucketSize=hour&lastN=3", f"?podId={pod}", "?bucketSize=week&startTime=2026-01-01T00:00:00Z"):
            status, bill = self.call("GET", f"/v2/billing/pods{query}")
            self.assertEqual(status, 200)
            self.assertGreater(len(bill["records"]), 0, query)
        self.assertEqual(self.call("GET", "/v2/billing/pods?lastN=1&endTime=2026-01-01T00:00:00Z")[0], 400)

    def test_bodies_are_refused_exactly_when_the_document_refuses_them(self):
        whole = {
            **POD, "cloud": "SECURE", "dataCenterIds": ["EU-RO-1"], "disk": 40, "ports": ["8000/http"], "env": {"A": "b"}, "args": "x", "registry": None,
            "globalNetworking": False, "startSsh": False, "startJupyter": False, "mounts": {"persistent": {"size": 10, "path": "/data"}},
            "gpu": {"id": "NVIDIA L4", "count": 1, "minCudaVersion": "12.4", "allowedCudaVersions": []},
        }
        judged = {True: 0, False: 0}
        for body in [whole, POD, *mutations(whole), *({**POD, "mounts": mounts} for mounts in MOUNTS)]:
            is_good = not self.document.mistakes("/components/schemas/CreatePodRequest", body)
            status, headers, text = ask("POST", self.cloud.hello["runpod"] + "/v2/pods", body, {"Authorization": f"Bearer {self.cloud.key['runpod']['id']}"})
            self.assertEqual(status != 422, is_good, f"{json.dumps(body)}: {status} {text}")
            judged[is_good] += 1
        self.assertGreater(min(judged.values()), 20, judged)

    def test_what_is_newer_than_the_document_is_taken(self):
        body = {**POD, "entrypoint": ["/bin/sh", "-c"], "cmd": ["true"], "gpu": {**POD["gpu"], "minRamPerGpu": 1, "minVcpuCountPerGpu": 1}}
        named = self.document.mistakes("/components/schemas/CreatePodRequest", body)
        self.assertTrue(all(any(name in line for name in NEWER) for line in named), named)
        self.assertEqual(self.call("POST", "/v2/pods", body)[0], 201)

    def test_the_judge_finds_what_is_wrong(self):
        pod = self.pod()
        told = self.call("GET", f"/v2/pods/{pod}")[1]
        for member, value in (("status", "MIGRATING"), ("cost", "1"), ("createdAt", "yesterday"), ("gpu", {"id": "x", "count": 0})):
            self.assertNotEqual(self.document.mistakes("/components/schemas/Pod", {**told, member: value}), [], member)
        del told["runtime"]
        self.assertNotEqual(self.document.mistakes("/components/schemas/Pod", told), [])


MOUNTS = [
    {}, {"network": []}, {"network": [{"volumeId": "v", "path": "/x"}]}, {"network": [{"volumeId": "v"}]}, {"network": {}}, {"network": [{}, {}]},
    {"persistent": {"size": 9, "path": "/x"}}, {"persistent": {"size": 10}}, {"persistent": {"size": 10, "path": "/x", "y": 1}}, {"other": 1}, [],
]


def mutations(body):
    """A body with one member gone, one too many, or one of another kind."""
    for name in body:
        yield {key: value for key, value in body.items() if key != name}
        for value in (None, 0, -1, 1, 1.5, "", "x", True, [], ["x"], [1], {}, {"x": "y"}, {"x": 1}):
            yield {**body, name: value}
    for cpu in ({}, {"id": "cpu5c", "vcpuCount": 2}, {"id": "", "vcpuCount": 2}, {"id": "cpu5c", "vcpuCount": 1}, {"id": "cpu5c", "vcpuCount": 2, "x": 1}, 1):
        yield {**body, "cpu": cpu}
    yield {**body, "dataCenterId": "EU-RO-1"}
    yield {**body, "name": "x" * 300}
    for name, values in (("id", (1, "")), ("count", (0, "1", 2, 1.0)), ("minCudaVersion", ("12", "12.4.1", 12.4)), ("allowedCudaVersions", (["12"], "12.8", [12.8])), ("vram", (1,))):
        for value in values:
            changed = copy.deepcopy(body)
            changed["gpu"][name] = value
            yield changed
    changed = copy.deepcopy(body)
    del changed["gpu"]["id"]
    yield changed


if __name__ == "__main__":
    unittest.main()
