"""Every call that the codec builds, against botocore: where it goes, how it is signed, and what it says."""

import datetime
import json
import re
import unittest
from unittest import mock
from urllib.parse import parse_qsl

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.serialize
import botocore.session
import botocore.validate

from codec import CREDENTIAL, Codec, spec
from shapes import leads_somewhere, parameters

NOW = datetime.datetime(2026, 11, 20, 12, 0, 0, tzinfo=datetime.timezone.utc)
NOW_MS = int(NOW.timestamp() * 1000)

ONE = {"region": "us-east-1", "id": "i-0123456789abcdef0"}
PLACED = {
    "regions": "us-east-1,eu-west-1",
    "ami_id": "us-east-1=ami-0123456789abcdef0,eu-west-1=ami-1",
    "subnet_id": "us-east-1a=subnet-1,eu-west-1=subnet-2",
    "security_group_id": "us-east-1=sg-1",
    "key_name": "my key",
    "root_device": "/dev/xvda",
    "system_disk_gb": "8",
}
PLAIN = {"regions": "us-east-1", "security_group_id": "sg-1"}
PERMISSIONS = [
    "ec2:RunInstances",
    "ec2:RunInstances as spot",
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeSpotPriceHistory",
    "ec2:DescribeRegions",
    "pricing:GetProducts",
]


def create(**other):
    return {"request": "create", **spec(**other)}


def shop(kind, page=None, region="us-east-1"):
    return {"request": "shop", "kind": kind, "region": region, "page": page}


REQUESTS = [
    ({"request": "verify"}, "sts", "GetCallerIdentity"),
    ({"request": "regions"}, "ec2", "DescribeRegions"),
    ({"request": "get", **ONE}, "ec2", "DescribeInstances"),
    ({"request": "list", "region": "us-east-1"}, "ec2", "DescribeInstances"),
    ({"request": "list", "region": "eu-west-1", "page": "a+b/c=="}, "ec2", "DescribeInstances"),
    ({"request": "stop", **ONE}, "ec2", "StopInstances"),
    ({"request": "start", **ONE}, "ec2", "StartInstances"),
    ({"request": "destroy", **ONE}, "ec2", "TerminateInstances"),
    (create(), "ec2", "RunInstances"),
    (create(zone="us-east-1a"), "ec2", "RunInstances"),
    (create(zone="us-east-1b"), "ec2", "RunInstances"),
    (create(spot=True, max_microusd_per_hour=1_234_500, ssh_public_key="ssh-ed25519 AAAA me"), "ec2", "RunInstances"),
    (create(region="eu-west-1", machine_type="p5.48xlarge", gpu_count=8), "ec2", "RunInstances"),
    *[(shop("types", page), "ec2", "DescribeInstanceTypes") for page in (None, "next")],
    *[(shop("zones", page), "ec2", "DescribeInstanceTypeOfferings") for page in (None, "next")],
    *[(shop("spot", page), "ec2", "DescribeSpotPriceHistory") for page in (None, "2026-11-20T12:00:00Z|next")],
    *[(shop("prices", page, "eu-west-1"), "pricing", "GetProducts") for page in (None, "next")],
    (shop("disk"), "pricing", "GetProducts"),
    *[
        (
            {"request": "check", "permission": permission, "region": "us-east-1"},
            permission.split(":")[0],
            permission.split(":")[1].split(" ")[0],
        )
        for permission in PERMISSIONS
    ],
]

# What the codec reads of each answer.
READ = {
    "GetCallerIdentity": ["Arn"],
    "DescribeRegions": ["regionInfo/regionName", "regionInfo/optInStatus"],
    "DescribeInstances": ["reservationSet/instancesSet/" + path for path in (
        "instanceId", "instanceState/code", "instanceState/name", "stateReason/code", "stateReason/message",
        "reason", "launchTime", "placement/availabilityZone", "instanceType", "ipAddress", "tagSet/key", "tagSet/value",
    )] + ["nextToken"],
    "RunInstances": ["instancesSet/instanceId", "instancesSet/instanceState/code"],
    "DescribeInstanceTypes": ["instanceTypeSet/" + path for path in (
        "instanceType", "supportedUsageClasses", "vCpuInfo/defaultVCpus", "memoryInfo/sizeInMiB", "gpuInfo/gpus/name",
        "gpuInfo/gpus/manufacturer", "gpuInfo/gpus/count", "gpuInfo/gpus/gpuPartitionSize",
        "gpuInfo/gpus/memoryInfo/sizeInMiB",
    )] + ["nextToken"],
    "DescribeInstanceTypeOfferings": [
        "instanceTypeOfferingSet/instanceType", "instanceTypeOfferingSet/location", "nextToken",
    ],
    "DescribeSpotPriceHistory": ["spotPriceHistorySet/" + path for path in (
        "instanceType", "availabilityZone", "spotPrice", "timestamp",
    )] + ["nextToken"],
    "GetProducts": ["PriceList", "NextToken", "FormatVersion"],
}  # fmt: skip


class Calls(unittest.TestCase):
    """One call each, over both sets of settings."""

    @classmethod
    def setUpClass(cls):
        session = botocore.session.Session()
        cls.models = {name: session.get_service_model(name) for name in ("ec2", "sts", "pricing")}
        cls.session = session
        cls.calls = []
        with Codec("encode", now_ms=NOW_MS) as codec:
            for settings in (PLACED, PLAIN):
                for token in (None, "TOKEN/EXAMPLE=="):
                    credential = {**CREDENTIAL, **({"session_token": token} if token else {})}
                    for request, service, operation in REQUESTS:
                        answer = codec.ask(request, settings=settings, credential=credential)
                        cls.calls.append((request, service, operation, token, answer["call"]))

    def each(self):
        for request, service, operation, token, call in self.calls:
            yield request, service, self.models[service].operation_model(operation), token, call

    def region_of(self, request, service):
        if service == "pricing":
            return "us-east-1"
        return request.get("region") or "us-east-1"

    def test_each_call_goes_where_botocore_would_send_it(self):
        for request, service, _, _, call in self.each():
            region = self.region_of(request, service)
            client = self.session.create_client(
                service, region, aws_access_key_id="x", aws_secret_access_key="x"
            )
            self.assertEqual(call["method"], "POST")
            self.assertEqual(call["url"].rstrip("/"), client.meta.endpoint_url)

    def test_each_signature_is_botocores(self):
        for request, service, _, token, call in self.each():
            ours = dict(call["headers"])
            self.assertEqual(len(ours), len(call["headers"]), "each header once")
            given = {name: value for name, value in ours.items() if name in ("content-type", "x-amz-target")}
            theirs = botocore.awsrequest.AWSRequest("POST", call["url"], data=call["body"], headers=given)
            keys = botocore.credentials.Credentials(
                CREDENTIAL["access_key_id"], CREDENTIAL["secret_access_key"], token
            )
            signer = botocore.auth.SigV4Auth(keys, service, self.region_of(request, service))
            with mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: NOW.replace(tzinfo=None)):
                signer.add_auth(theirs)
            expected = {name.lower(): value for name, value in theirs.headers.items()}
            self.assertEqual(ours, expected)

    def test_each_body_says_what_the_service_model_knows(self):
        for _, service, operation, _, call in self.each():
            model = self.models[service]
            protocol = model.metadata["protocol"]
            said = json.loads(call["body"]) if service == "pricing" else parameters(call["body"], operation, protocol)
            report = botocore.validate.ParamValidator().validate(said, operation.input_shape)
            self.assertFalse(report.has_errors(), report.generate_report())
            serializer = botocore.serialize.create_serializer(protocol, include_validation=True)
            again = serializer.serialize_to_request(said, operation)["body"]
            if service == "pricing":
                self.assertEqual(json.loads(again), said)
                continue
            ours = dict(parse_qsl(call["body"], keep_blank_values=True))
            self.assertEqual(ours, {name: str(value) for name, value in again.items()})

    def test_each_filter_is_one_that_the_operation_documents(self):
        for _, service, operation, _, call in self.each():
            if service != "ec2":
                continue
            said = parameters(call["body"], operation, "ec2")
            for each in said.get("Filters", []):
                documented = operation.input_shape.members["Filters"].documentation
                name = re.sub(r"^tag:.*", "tag:", each["Name"])
                self.assertRegex(documented, rf"<code>{re.escape(name)}")

    def test_nothing_is_asked_for_in_pages_larger_than_they_may_be(self):
        for _, service, operation, _, call in self.each():
            if service == "ec2":
                size = parameters(call["body"], operation, "ec2").get("MaxResults", 5)
                self.assertIn(size, range(5, 1001))

    def test_what_is_read_of_the_answers_is_there(self):
        for _, service, operation, _, _ in self.each():
            for path in READ.get(operation.name, []):
                self.assertTrue(leads_somewhere(path, operation.output_shape), f"{operation.name}: {path}")

    def test_a_stand_in_is_signed_for_as_botocore_would(self):
        for base in ("http://127.0.0.1:4566", "http://localhost/aws", "https://proxy.example:443/a/b%20c"):
            with self.subTest(base=base), Codec("encode", now_ms=NOW_MS, settings=PLAIN, api=base) as codec:
                call = codec.ask({"request": "destroy", **ONE})["call"]
                ours = dict(call["headers"])
                theirs = botocore.awsrequest.AWSRequest(
                    "POST", call["url"], data=call["body"], headers={"content-type": ours["content-type"]}
                )
                keys = botocore.credentials.Credentials(*CREDENTIAL.values())
                with mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: NOW.replace(tzinfo=None)):
                    botocore.auth.SigV4Auth(keys, "ec2", "us-east-1").add_auth(theirs)
                self.assertEqual(ours["authorization"], theirs.headers["Authorization"])

