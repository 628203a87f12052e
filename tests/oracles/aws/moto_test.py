"""The codec through moto, which knows nothing of it: a machine's whole life, and the catalogue.

moto does not know client tokens, has no `pending`, and ends machines at once; what comes of those is tested beside
the codec. Its price list is empty.
"""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

import boto3

from codec import MARKER, Codec, spec

REGION = "us-east-1"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Moto:
    """A moto server of one's own."""

    def __init__(self):
        self.url = f"http://127.0.0.1:{free_port()}"
        port = self.url.rsplit(":", 1)[1]
        self.process = subprocess.Popen(
            [sys.executable, pathlib.Path(__file__).with_name("moto_server.py"), "-H", "127.0.0.1", "-p", port],
            env={**os.environ, "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "true", "MOTO_ENABLE_AMI_VALIDATION": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                return urllib.request.urlopen(f"{self.url}/moto-api/data.json", timeout=5).read()
        raise RuntimeError("moto did not come up")

    def reset(self):
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST"), timeout=30)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


class Life(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.moto = Moto()
        cls.addClassCleanup(cls.moto.stop)
        cls.moto.wait()
        cls.boto = boto(cls.moto.url)
        architecture = [{"Name": "architecture", "Values": ["x86_64"]}]
        cls.image = cls.boto.describe_images(Filters=architecture)["Images"][0]["ImageId"]

    def setUp(self):
        self.moto.reset()
        self.settings = {"regions": REGION, "ami_id": self.image}
        self.codec = Codec("exchange", api=self.moto.url, now_ms=int(time.time() * 1000))
        self.addCleanup(self.codec.__exit__)

    def ask(self, request, **settings):
        return self.codec.ask(request, settings={**self.settings, **settings})

    def reply(self, request, **settings):
        answer = self.ask(request, **settings)
        self.assertIn("reply", answer, answer)
        return answer["reply"]

    def error(self, request, **settings):
        answer = self.ask(request, **settings)
        self.assertIn("error", answer, answer)
        return answer["error"]

    def create(self, **other):
        return self.reply({"request": "create", **spec(**other)})["machine"]

    def on(self, verb, machine):
        return {"request": verb, "region": REGION, "id": machine["id"]}

    def state(self, machine):
        seen = self.reply(self.on("get", machine))["machine"]
        return seen["state"], seen["raw_state"], seen["billing"]

    def listed(self):
        page = self.reply({"request": "list", "region": REGION})
        return page["machines"]

    def test_the_credential_counts(self):
        principal = self.reply({"request": "verify"})["principal"]
        self.assertRegex(principal, r"^arn:aws:sts::123456789012:")

    def test_a_dry_run_is_allowed_and_rents_nothing(self):
        for permission in ("ec2:RunInstances", "ec2:RunInstances as spot"):
            check = {"request": "check", "permission": permission, "region": REGION}
            self.assertEqual(self.reply(check), {"reply": "allowed"})
        self.assertEqual(self.listed(), [])

    def test_looking_is_allowed(self):
        for what in ("Instances", "InstanceTypes", "InstanceTypeOfferings", "SpotPriceHistory", "Regions"):
            check = {"request": "check", "permission": f"ec2:Describe{what}", "region": REGION}
            self.assertEqual(self.reply(check), {"reply": "allowed"}, what)

    def test_regions_are_listed_with_those_that_are_on(self):
        regions = self.reply({"request": "regions"})["regions"]
        self.assertIn({"id": "us-east-1", "name": "us-east-1", "enabled": True}, regions)
        self.assertGreater(len(regions), 15)

    def test_a_machine_lives_from_create_to_its_end(self):
        made = self.create(zone="us-east-1a")
        self.assertEqual(made["marker"], MARKER)
        self.assertRegex(made["id"], r"^i-[0-9a-f]{17}$")
        self.assertEqual((made["zone"], made["machine_type"]), ("us-east-1a", "g6.xlarge"))
        self.assertEqual(self.state(made), ("running", "running", "full"))
        [seen] = self.listed()
        self.assertEqual((seen["id"], seen["marker"], seen["region"]), (made["id"], MARKER, REGION))
        self.assertLess(abs(seen["billed_from_ms"] - time.time() * 1000), 120_000)
        self.assertIsNone(seen["billed_until_ms"])
        self.assertIsNone(seen["endpoint"])
        self.assertRegex(seen["address"], r"^\d+\.\d+\.\d+\.\d+$")

        self.assertEqual(self.reply(self.on("stop", made)), {"reply": "accepted", "machine": None})
        self.assertEqual(self.state(made), ("stopped", "stopped", "disk"))
        stopped = self.reply(self.on("get", made))["machine"]
        self.assertEqual(stopped["reason"]["ending"], "asked")
        self.assertLess(abs(stopped["billed_until_ms"] - time.time() * 1000), 120_000)

        self.reply(self.on("start", made))
        self.assertEqual(self.state(made), ("running", "running", "full"))
        self.assertIsNone(self.reply(self.on("get", made))["machine"]["reason"])

        for _ in range(2):
            self.reply(self.on("destroy", made))
        self.assertEqual(self.state(made), ("terminated", "terminated", "none"))
        [gone] = self.listed()
        self.assertEqual((gone["state"], gone["reason"]["ending"]), ("terminated", "asked"))

    def test_a_spot_machine_in_a_subnet(self):
        zone = "us-east-1b"
        subnet, group = default_network(self.boto, zone)
        placed = {"subnet_id": f"{zone}={subnet}", "security_group_id": group}
        wanted = spec(zone=zone, spot=True, max_microusd_per_hour=500_000)
        made = self.reply({"request": "create", **wanted}, **placed)["machine"]
        self.assertEqual((made["zone"], made["marker"]), (zone, MARKER))
        self.assertEqual(self.state(made), ("running", "running", "full"))

    def rented_by_others(self, count, **tags):
        """Machines that the codec did not rent."""
        named = [{"Key": name.replace("_", "-"), "Value": value} for name, value in tags.items()]
        specification = {"TagSpecifications": [{"ResourceType": "instance", "Tags": named}]} if named else {}
        made = self.boto.run_instances(
            ImageId=self.image, InstanceType="t3.micro", MinCount=count, MaxCount=count, **specification
        )
        return {machine["InstanceId"] for machine in made["Instances"]}

    def test_what_is_not_ours_is_not_listed(self):
        self.rented_by_others(3)
        self.rented_by_others(1, managed_by="tidegate")
        made = self.create()
        self.assertEqual([machine["id"] for machine in self.listed()], [made["id"]])

    def test_pages_make_a_list(self):
        # moto counts what was rented at once as one.
        rented = [self.rented_by_others(1, managed_by="tidegate", Name=MARKER) for _ in range(205)]
        expected = set().union(*rented)
        found, page, pages = [], None, 0
        while page is not None or pages == 0:
            answer = self.reply({"request": "list", "region": REGION, "page": page})
            found += [machine["id"] for machine in answer["machines"]]
            page, pages = answer["next"], pages + 1
        self.assertEqual((len(found), pages), (205, 2))
        self.assertEqual(set(found), expected)

    def test_errors_are_of_their_kinds(self):
        nowhere = {"id": "i-0123456789abcdef0"}
        for request, kind, code in [
            (self.on("get", nowhere), "not_found", "InvalidInstanceID.NotFound"),
            (self.on("destroy", nowhere), "not_found", "InvalidInstanceID.NotFound"),
            ({"request": "create", **spec(machine_type="g0.none")}, "validation", "InvalidInstanceType.NotFound"),
        ]:
            error = self.error(request)
            self.assertEqual((error["kind"], error.get("code")), (kind, code), error)
            self.assertFalse(error["unclear"])
        error = self.error({"request": "create", **spec()}, ami_id="ami-00000000000000000")
        self.assertEqual(error["kind"], "validation", error)
        self.assertRegex(error["code"], r"^InvalidAMIID\.")

    def test_the_catalogue_makes_offers(self):
        parts = []
        for kind in ("types", "zones", "spot"):
            query = {"kind": kind, "region": REGION}
            while query is not None:
                part = self.reply({"request": "shop", **query})
                parts.append({name: part.get(name) for name in ("query", "body", "next")})
                query = part["next"]
        offers = self.codec.ask(parts=parts, settings=self.settings)["offers"]
        l4 = [offer for offer in offers if offer["machine_type"] == "g6.xlarge"]
        on_demand = [offer for offer in l4 if not offer["spot"]]
        self.assertEqual(len(on_demand), 1)
        self.assertEqual(on_demand[0]["gpu"], {"model": "l4", "name": "L4", "count": 1, "vram_gb": 24})
        self.assertEqual((on_demand[0]["vcpus"], on_demand[0]["memory_gb"]), (4, 16))
        self.assertIsNone(on_demand[0]["microusd_per_hour"])
        spot = [offer for offer in l4 if offer["spot"]]
        self.assertGreater(len(spot), 2)
        for offer in spot:
            self.assertRegex(offer["zone"], r"^us-east-1[a-f]$")
        h100 = [offer for offer in offers if offer["machine_type"] == "p5.48xlarge"]
        self.assertEqual(h100[0]["gpu"]["model"], "h100-80gb")
        self.assertEqual(h100[0]["gpu"]["count"], 8)
        for offer in offers:
            self.assertNotRegex(offer["machine_type"], r"^(g4ad|g5g|g6f|gr6f|inf|m)")
        prices = {offer["microusd_per_hour"] for offer in offers if offer["spot"]}
        self.assertTrue(all(price is None or price > 0 for price in prices))


def boto(url):
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    return boto3.client("ec2", region_name=REGION, endpoint_url=url, **keys)


def default_network(client, zone):
    """The default subnet of a zone, and its network's default group."""
    filters = [{"Name": "availability-zone", "Values": [zone]}, {"Name": "default-for-az", "Values": ["true"]}]
    subnet = client.describe_subnets(Filters=filters)["Subnets"][0]
    groups = client.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [subnet["VpcId"]]}])
    return subnet["SubnetId"], groups["SecurityGroups"][0]["GroupId"]
