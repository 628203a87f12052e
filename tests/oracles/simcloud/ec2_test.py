"""AWS's own client against the stand-in: its signer must be believed, its parsers and models must be content."""

import datetime
import json
import pathlib
import unittest

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, ConnectionClosedError

import shapes
from cloud import CloudTest, ask

ONE_TRY = {"total_max_attempts": 1, "mode": "standard"}
WAIT = {"Delay": 0, "MaxAttempts": 500}


class Ec2Test(CloudTest):
    judged = set()

    def client(self, service="ec2", region="us-east-1", key=None, secret=None, token=None):
        known = self.cloud.key["aws"]
        client = boto3.client(
            service,
            region_name=region,
            endpoint_url=self.cloud.hello["aws"],
            aws_access_key_id=key or known["id"],
            aws_secret_access_key=secret or known["secret"],
            aws_session_token=token,
            config=Config(retries=ONE_TRY, read_timeout=20),
        )
        self.addCleanup(client.close)
        if service == "ec2":
            client.meta.events.register("before-parse.ec2", self.judge)
        return client

    def judge(self, operation_model, response_dict, **_):
        if response_dict["status_code"] == 200:
            self.judged.add(operation_model.name)
            self.assertEqual(shapes.judge(response_dict["body"], operation_model), [], operation_model.name)

    def setUp(self):
        super().setUp()
        self.ec2 = self.client()
        self.image = self.ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["Deep Learning*"]}])["Images"][0]

    def launch(self, client=None, **more):
        request = {"ImageId": self.image["ImageId"], "InstanceType": "g6.xlarge", "MinCount": 1, "MaxCount": 1, **more}
        return (client or self.ec2).run_instances(**request)["Instances"][0]

    def refused(self, code, call, **request):
        with self.assertRaises(ClientError) as caught:
            call(**request)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        return caught.exception.response["ResponseMetadata"]["HTTPStatusCode"]

    def one(self, instance):
        return self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]


class Lives(Ec2Test):
    def test_an_instance_runs_stops_starts_and_is_gone(self):
        tags = [{"Key": "Name", "Value": "a <&> b"}, {"Key": "app", "Value": "x"}]
        made = self.launch(
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}, {"ResourceType": "volume", "Tags": tags}],
            ClientToken="t-1",
            UserData="#!/bin/sh\ntrue\n",
            BlockDeviceMappings=[{"DeviceName": self.image["RootDeviceName"], "Ebs": {"VolumeSize": 100, "VolumeType": "gp3", "DeleteOnTermination": True, "Encrypted": True}}],
            NetworkInterfaces=[{"DeviceIndex": 0, "AssociatePublicIpAddress": True}],
            MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
            InstanceInitiatedShutdownBehavior="terminate",
        )
        instance = made["InstanceId"]
        self.assertEqual(made["State"], {"Code": 0, "Name": "pending"})
        self.ec2.get_waiter("instance_exists").wait(InstanceIds=[instance], WaiterConfig=WAIT)
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=WAIT)
        self.ec2.get_waiter("instance_status_ok").wait(InstanceIds=[instance], WaiterConfig=WAIT)
        up = self.one(instance)
        self.assertEqual({tag["Key"]: tag["Value"] for tag in up["Tags"]}, {tag["Key"]: tag["Value"] for tag in tags})
        self.assertEqual((up["ClientToken"], up["MetadataOptions"]["HttpTokens"]), ("t-1", "required"))
        self.assertTrue(up["PublicIpAddress"].startswith("127."))
        self.assertEqual(up["LaunchTime"].microsecond, 0)

        change = self.ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
        self.assertEqual((change["PreviousState"]["Name"], change["CurrentState"]["Name"]), ("running", "stopping"))
        self.ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance], WaiterConfig=WAIT)
        down = self.one(instance)
        self.assertNotIn("PublicIpAddress", down)
        self.assertRegex(down["StateTransitionReason"], r"^User initiated \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d GMT\)$")
        self.assertEqual(down["StateReason"]["Code"], "Client.UserInitiatedShutdown")

        change = self.ec2.start_instances(InstanceIds=[instance])["StartingInstances"][0]
        self.assertEqual((change["PreviousState"]["Name"], change["CurrentState"]["Name"]), ("stopped", "pending"))
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=WAIT)
        again = self.one(instance)
        self.assertNotEqual(again["PublicIpAddress"], up["PublicIpAddress"])
        self.assertNotIn("StateReason", again)

        change = self.ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"][0]
        self.assertEqual(change["CurrentState"]["Name"], "shutting-down")
        self.ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=WAIT)
        change = self.ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"][0]
        self.assertEqual((change["PreviousState"]["Name"], change["CurrentState"]["Name"]), ("terminated", "terminated"))
        self.refused("IncorrectInstanceState", self.ec2.start_instances, InstanceIds=[instance])

        self.cloud.control("POST", "clock", {"advance_ms": 3_600_000})
        self.refused("InvalidInstanceID.NotFound", self.ec2.describe_instances, InstanceIds=[instance])
        self.assertEqual(self.ec2.describe_instances()["Reservations"], [])

    def test_the_meter_bills_a_minute_for_each_start_and_the_disk_between(self):
        instance = self.launch()["InstanceId"]
        for wait in (self.ec2.get_waiter("instance_running"), None):
            if wait:
                wait.wait(InstanceIds=[instance], WaiterConfig=WAIT)
            self.ec2.stop_instances(InstanceIds=[instance])
            self.ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance], WaiterConfig=WAIT)
            if wait:
                self.cloud.control("POST", "clock", {"advance_ms": 7_200_000})
                self.ec2.start_instances(InstanceIds=[instance])
                self.ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=WAIT)
        self.ec2.terminate_instances(InstanceIds=[instance])
        self.ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=WAIT)
        bill = self.cloud.bill(instance)
        full = [stretch for stretch in bill["stretches"] if stretch["rate"] == "full"]
        disk = [stretch for stretch in bill["stretches"] if stretch["rate"] == "disk"]
        self.assertEqual([stretch["seconds"] for stretch in full], [60, 60])
        self.assertGreaterEqual(disk[0]["seconds"], 7200)
        # 35 GB at $0.08 a month of 720 hours.
        self.assertEqual(disk[0]["microusd_per_hour"], 3889)
        sum_of_all = sum(stretch["microusd_per_hour"] * stretch["seconds"] for stretch in bill["stretches"])
        self.assertEqual(bill["microusd"], (sum_of_all + 1800) // 3600)

    def test_the_times_that_are_told_are_the_times_that_are_billed(self):
        made = self.launch()
        instance = made["InstanceId"]
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=WAIT)
        self.cloud.control("POST", "clock", {"advance_ms": 5_000_123})
        self.ec2.terminate_instances(InstanceIds=[instance])
        self.ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=WAIT)
        reason = self.one(instance)["StateTransitionReason"]
        ended = datetime.datetime.strptime(reason, "User initiated (%Y-%m-%d %H:%M:%S GMT)")
        lived = (ended - made["LaunchTime"].replace(tzinfo=None)).total_seconds()
        self.assertEqual(self.cloud.bill(instance)["seconds"]["full"], lived)

    def test_a_disk_that_outlives_its_instance_costs_on(self):
        mapping = [{"DeviceName": self.image["RootDeviceName"], "Ebs": {"DeleteOnTermination": False}}]
        instance = self.launch(BlockDeviceMappings=mapping)["InstanceId"]
        self.ec2.terminate_instances(InstanceIds=[instance])
        self.ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=WAIT)
        self.assertEqual(self.cloud.bill(instance)["billing"], "disk")

    def test_spot_costs_the_price_of_its_zone_and_is_taken_away(self):
        history = self.ec2.describe_spot_price_history(InstanceTypes=["g6.xlarge"], ProductDescriptions=["Linux/UNIX"], AvailabilityZone="us-east-1b")
        prices = history["SpotPriceHistory"]
        self.assertEqual(len(prices), 2)
        self.assertGreater(prices[0]["Timestamp"], prices[1]["Timestamp"])
        market = {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}}
        made = self.launch(InstanceMarketOptions=market, Placement={"AvailabilityZone": "us-east-1b"})
        instance = made["InstanceId"]
        self.assertEqual(made["InstanceLifecycle"], "spot")
        rate = self.cloud.bill(instance)["stretches"][0]["microusd_per_hour"]
        self.assertEqual(f"{rate / 1e6:.6f}", prices[0]["SpotPrice"])
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=WAIT)
        self.refused("UnsupportedOperation", self.ec2.stop_instances, InstanceIds=[instance])
        self.cloud.control("POST", f"machines/{instance}/preempt", {"notice_ms": 120_000})
        self.assertEqual(self.one(instance)["State"]["Name"], "running")
        self.cloud.control("POST", "clock", {"advance_ms": 120_000})
        self.ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=WAIT)
        self.assertEqual(self.one(instance)["StateReason"]["Code"], "Server.SpotInstanceTermination")
        low = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.01"}}
        self.refused("SpotMaxPriceTooLow", self.launch, InstanceMarketOptions=low)


class Launches(Ec2Test):
    def test_a_client_token_makes_one_instance(self):
        one = self.launch(ClientToken="t")
        self.assertEqual(self.launch(ClientToken="t")["InstanceId"], one["InstanceId"])
        self.refused("IdempotentParameterMismatch", self.launch, ClientToken="t", InstanceType="g5.xlarge")
        elsewhere = self.client(region="us-west-2")
        image = elsewhere.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        other = elsewhere.run_instances(ImageId=image, InstanceType="g6.xlarge", MinCount=1, MaxCount=1, ClientToken="t")
        self.assertNotEqual(other["Instances"][0]["InstanceId"], one["InstanceId"])
        self.ec2.terminate_instances(InstanceIds=[one["InstanceId"]])
        self.refused("IdempotentInstanceTerminated", self.launch, ClientToken="t")
        self.assertEqual(len(self.cloud.control("GET", "machines")["machines"]), 2)

    def test_a_lost_reply_is_found_again_by_its_token(self):
        self.cloud.once("create", do="reply_lost")
        with self.assertRaises((ConnectionClosedError, EndpointConnectionError)):
            self.launch(ClientToken="t")
        made = self.launch(ClientToken="t")
        self.assertEqual([machine["id"] for machine in self.cloud.control("GET", "machines")["machines"]], [made["InstanceId"]])

    def test_refusals_are_told_by_their_code(self):
        for code, more in (
            ("InvalidAMIID.NotFound", {"ImageId": "ami-00000000000000000"}),
            ("InvalidAMIID.Malformed", {"ImageId": "x"}),
            ("InvalidParameterValue", {"InstanceType": "g9.huge"}),
            ("InvalidSubnetID.NotFound", {"SubnetId": "subnet-1"}),
            ("InvalidGroup.NotFound", {"SecurityGroupIds": ["sg-1"]}),
            ("InvalidKeyPair.NotFound", {"KeyName": "nobody"}),
            ("Unsupported", {"InstanceType": "p5.48xlarge", "Placement": {"AvailabilityZone": "us-east-1b"}}),
            ("InvalidParameterCombination", {"SubnetId": "subnet-1", "NetworkInterfaces": [{"DeviceIndex": 0}]}),
            ("InvalidParameterValue", {"ClientToken": "x" * 65}),
            ("InvalidParameterValue", {"UserData": "x" * 16_385}),
            ("InvalidParameterValue", {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "aws:x", "Value": ""}]}]}),
            ("InvalidBlockDeviceMapping", {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}]}),
        ):
            with self.subTest(code, **more):
                self.assertEqual(self.refused(code, self.launch, **more), 400)
        self.assertEqual(self.cloud.control("GET", "machines")["machines"], [])

    def test_no_capacity_is_a_500_and_no_quota_is_none(self):
        self.cloud.control("POST", "stock", {"vendor": "aws", "kind": "g6.xlarge", "place": "us-east-1a", "level": "NONE"})
        here = {"Placement": {"AvailabilityZone": "us-east-1a"}}
        self.assertEqual(self.refused("InsufficientInstanceCapacity", self.launch, ClientToken="t", **here), 500)
        self.assertNotEqual(self.launch()["Placement"]["AvailabilityZone"], "us-east-1a")
        self.cloud.control("POST", "settings", {"vcpus": {"on_demand": 4}})
        self.assertEqual(self.refused("VcpuLimitExceeded", self.launch), 400)
        spot = {"MarketType": "spot"}
        self.launch(InstanceMarketOptions=spot)

    def test_a_launch_that_fails_is_terminated_and_not_billed(self):
        self.cloud.once("create", do="boot_fails", reason="Server.InsufficientInstanceCapacity")
        instance = self.launch()["InstanceId"]
        self.cloud.until(instance, "terminated")
        self.assertEqual(self.one(instance)["StateReason"]["Code"], "Server.InsufficientInstanceCapacity")
        self.assertEqual(self.cloud.bill(instance)["microusd"], 0)

    def test_a_dry_run_says_yes_or_no_and_does_nothing(self):
        self.assertEqual(self.refused("DryRunOperation", self.launch, DryRun=True), 412)
        self.refused("DryRunOperation", self.ec2.describe_regions, DryRun=True)
        known = self.cloud.key["aws"]
        self.cloud.control("POST", "keys", {**known, "vendor": "aws", "denies": ["create"]})
        self.assertEqual(self.refused("UnauthorizedOperation", self.launch, DryRun=True), 403)
        self.assertEqual(self.refused("UnauthorizedOperation", self.launch), 403)
        self.assertEqual(self.cloud.control("GET", "machines")["machines"], [])

    def test_user_data_is_executed_as_it_was_given(self):
        script = "#!/bin/bash\nprintf '%s' 'ü & \"b\"' >\"$SIMCLOUD_FOLDER/said\"\nshutdown -h now\n"
        instance = self.launch(UserData=script, InstanceInitiatedShutdownBehavior="terminate")["InstanceId"]
        self.cloud.until(instance, "terminated")
        said = pathlib.Path(self.cloud.hello["folder"], "boxes", instance, "said")
        self.assertEqual(said.read_text(encoding="utf-8"), 'ü & "b"')


class Lists(Ec2Test):
    def test_filters_and_pages_find_each_instance_once(self):
        made = []
        for number in range(12):
            tags = [{"Key": "app", "Value": "x" if number % 2 else "y"}]
            made.append(self.launch(TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])["InstanceId"])
        paginator = self.ec2.get_paginator("describe_instances")
        pages = list(paginator.paginate(PaginationConfig={"PageSize": 5}))
        self.assertEqual([len(page["Reservations"]) for page in pages], [5, 5, 2])
        seen = [instance["InstanceId"] for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]]
        self.assertEqual(sorted(seen), sorted(made))
        for filters, expected in (
            ([{"Name": "tag:app", "Values": ["x"]}], 6),
            ([{"Name": "tag:app", "Values": ["x", "y"]}, {"Name": "instance-state-name", "Values": ["pending", "running"]}], 12),
            ([{"Name": "tag-key", "Values": ["app*"]}], 12),
            ([{"Name": "instance-state-name", "Values": ["stopped"]}], 0),
        ):
            found = self.ec2.describe_instances(Filters=filters)["Reservations"]
            self.assertEqual(len(found), expected, filters)
        self.refused("InvalidParameterValue", self.ec2.describe_instances, Filters=[{"Name": "colour", "Values": ["red"]}])
        self.refused("InvalidParameterValue", self.ec2.describe_instances, MaxResults=4)
        self.refused("InvalidParameterCombination", self.ec2.describe_instances, InstanceIds=made[:1], MaxResults=5)

    def test_lists_may_be_stale_partial_or_overlapping(self):
        old = self.launch()["InstanceId"]
        self.cloud.until(old, "running")
        self.cloud.control("POST", "clock", {"advance_ms": 60_000})
        self.ec2.terminate_instances(InstanceIds=[old])
        self.cloud.until(old, "terminated")
        new = [self.launch()["InstanceId"] for _ in range(2)]
        self.cloud.once("list", do="stale", ms=30_000)
        listed = lambda page: [instance["InstanceId"] for reservation in page["Reservations"] for instance in reservation["Instances"]]
        past = self.ec2.describe_instances()
        self.assertEqual((listed(past), past["Reservations"][0]["Instances"][0]["State"]["Name"]), ([old], "running"))
        everything = listed(self.ec2.describe_instances())
        self.assertEqual(sorted(everything), sorted([old, *new]))

        self.cloud.control("POST", "faults", {"operation": "list", "times": 2, "fault": {"do": "partial_list"}})
        first = self.ec2.describe_instances()
        self.assertEqual(listed(first), everything[:2])
        self.assertEqual(self.refused("InternalError", self.ec2.describe_instances, NextToken=first["NextToken"]), 500)

        for fault in ({"do": "small_pages", "size": 2}, {"do": "overlapping_pages"}):
            self.cloud.control("POST", "faults", {"operation": "list", "times": 2, "fault": fault})
        first = self.ec2.describe_instances()
        second = self.ec2.describe_instances(NextToken=first["NextToken"])
        self.assertEqual((listed(first), listed(second)), (everything[:2], everything[1:]))
        self.assertNotIn("NextToken", second)
        self.refused("InvalidPaginationToken", self.ec2.describe_instances, NextToken="x")

    def test_prices_may_be_no_prices(self):
        def spot(how):
            self.cloud.once("shop", do="bad_price", how=how)
            return self.ec2.describe_spot_price_history(InstanceTypes=["g6.xlarge"], MaxResults=1)["SpotPriceHistory"][0].get("SpotPrice")

        self.assertEqual([spot(how) for how in ("missing", "null", "negative", "zero", "text")], [None, "", "-0.321900", "0.0000000000", "a good deal"])

    def test_a_new_instance_is_not_found_for_a_while(self):
        self.cloud.control("POST", "settings", {"delays": {"visible_after_ms": 60_000}})
        instance = self.launch()["InstanceId"]
        self.refused("InvalidInstanceID.NotFound", self.ec2.describe_instances, InstanceIds=[instance])
        self.assertEqual(self.ec2.describe_instances()["Reservations"], [])
        self.cloud.control("POST", "clock", {"advance_ms": 60_000})
        self.assertEqual(self.one(instance)["InstanceId"], instance)

    def test_one_bad_id_fails_the_whole_call(self):
        instance = self.launch()["InstanceId"]
        self.cloud.until(instance, "running")
        both = [instance, "i-00000000000000000"]
        self.refused("InvalidInstanceID.NotFound", self.ec2.terminate_instances, InstanceIds=both)
        self.refused("InvalidInstanceID.Malformed", self.ec2.terminate_instances, InstanceIds=["x"])
        self.assertEqual(self.one(instance)["State"]["Name"], "running")

    def test_tags_can_be_put_on_later(self):
        instance = self.launch()["InstanceId"]
        self.ec2.create_tags(Resources=[instance], Tags=[{"Key": "Name", "Value": "later"}])
        self.assertEqual(self.one(instance)["Tags"], [{"Key": "Name", "Value": "later"}])
        self.assertEqual(self.cloud.until(instance, "running")["name"], "later")

    def test_lies_are_told_in_well_formed_xml(self):
        instance = self.launch()["InstanceId"]
        self.cloud.until(instance, "running")
        self.cloud.once("list", do="empty_list")
        self.assertEqual(self.ec2.describe_instances()["Reservations"], [])
        self.cloud.once("destroy", do="never_ends")
        told = self.ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"][0]
        self.assertEqual(told["CurrentState"]["Name"], "shutting-down")
        self.assertEqual(self.one(instance)["State"]["Name"], "running")
        self.cloud.once("destroy", do="bills_on")
        self.ec2.terminate_instances(InstanceIds=[instance])
        self.refused("InvalidInstanceID.NotFound", self.ec2.describe_instances, InstanceIds=[instance])
        self.assertEqual(self.cloud.bill(instance)["billing"], "full")
        self.cloud.once("list", do="rate_limited")
        self.assertEqual(self.refused("RequestLimitExceeded", self.ec2.describe_instances), 503)


class Catalogue(Ec2Test):
    def test_regions_and_zones(self):
        names = {region["RegionName"]: region["OptInStatus"] for region in self.ec2.describe_regions(AllRegions=True)["Regions"]}
        self.assertEqual(names["me-south-1"], "not-opted-in")
        self.assertNotIn("me-south-1", [region["RegionName"] for region in self.ec2.describe_regions()["Regions"]])
        zones = self.ec2.describe_availability_zones()["AvailabilityZones"]
        self.assertEqual([(zone["ZoneName"], zone["ZoneId"]) for zone in zones], [("us-east-1a", "use1-az1"), ("us-east-1b", "use1-az2"), ("us-east-1c", "use1-az3")])
        self.refused("AuthFailure", self.client(region="me-south-1").describe_instances)

    def test_types_and_where_they_are_offered(self):
        pages = self.ec2.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": 5})
        types = {kind["InstanceType"]: kind for page in pages for kind in page["InstanceTypes"]}
        gpus = types["g5.12xlarge"]["GpuInfo"]
        self.assertEqual((gpus["Gpus"][0]["Name"], gpus["Gpus"][0]["Count"], gpus["TotalGpuMemoryInMiB"]), ("A10G", 4, 98_304))
        self.assertNotIn("GpuInfo", types["m7i.large"])
        self.refused("InvalidInstanceType", self.ec2.describe_instance_types, InstanceTypes=["g9.huge"])
        pages = self.ec2.get_paginator("describe_instance_type_offerings").paginate(LocationType="availability-zone", PaginationConfig={"PageSize": 5})
        offered = {(row["InstanceType"], row["Location"]) for page in pages for row in page["InstanceTypeOfferings"]}
        self.assertIn(("p5.48xlarge", "us-east-1a"), offered)
        self.assertNotIn(("p5.48xlarge", "us-east-1b"), offered)
        elsewhere = self.client(region="eu-west-1").describe_instance_type_offerings(Filters=[{"Name": "instance-type", "Values": ["p*"]}])
        self.assertEqual([row["InstanceType"] for row in elsewhere["InstanceTypeOfferings"]], ["p4d.24xlarge"])

    def test_networks(self):
        subnets = self.ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
        groups = self.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"]
        made = self.launch(SubnetId=subnets[1]["SubnetId"], SecurityGroupIds=[groups[0]["GroupId"]])
        self.assertEqual((made["Placement"]["AvailabilityZone"], made["VpcId"]), ("us-east-1b", groups[0]["VpcId"]))

    def test_prices_are_found_among_those_that_differ_in_one_attribute(self):
        pricing = self.client("pricing")
        wanted = {"instanceType": "g6.xlarge", "regionCode": "eu-central-1", "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
        filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
        found = [json.loads(text) for text in pricing.get_products(ServiceCode="AmazonEC2", FormatVersion="aws_v1", Filters=filters)["PriceList"]]
        self.assertEqual(len(found), 1)
        term = next(iter(found[0]["terms"]["OnDemand"].values()))
        dimension = next(iter(term["priceDimensions"].values()))
        self.assertEqual((dimension["unit"], dimension["pricePerUnit"]), ("Hrs", {"USD": "1.0060000000"}))
        pages = pricing.get_paginator("get_products").paginate(ServiceCode="AmazonEC2", Filters=filters[:2], PaginationConfig={"PageSize": 4})
        self.assertEqual([len(page["PriceList"]) for page in pages], [4, 2])


class Judge(Ec2Test):
    def test_the_judge_looks_at_answers_and_finds_what_is_wrong(self):
        self.launch()
        self.assertLessEqual({"DescribeImages", "RunInstances"}, self.judged)
        operation = self.ec2.meta.service_model.operation_model("DescribeInstances")
        document = '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet><item><instancesSet>{}</instancesSet></item></reservationSet></DescribeInstancesResponse>'
        for inner, count in (
            ("<item><instanceId>i</instanceId></item>", 0),
            ("<item><instanceID>i</instanceID></item>", 1),
            ("<item><instanceState><code>x</code><name>waiting</name></instanceState></item>", 2),
            ("<member/>", 1),
        ):
            self.assertEqual(len(shapes.judge(document.format(inner), operation)), count, inner)


class Keys(Ec2Test):
    def test_who_asks(self):
        me = self.client("sts").get_caller_identity()
        self.assertEqual((me["Account"], me["Arn"]), ("111122223333", "arn:aws:iam::111122223333:user/main"))

    def test_wrong_keys_are_told_apart(self):
        self.refused("SignatureDoesNotMatch", self.client(secret="x").describe_regions)
        self.refused("SignatureDoesNotMatch", self.client("sts", secret="x").get_caller_identity)
        self.refused("AuthFailure", self.client(key="AKIAUNKNOWN").describe_regions)
        self.refused("InvalidClientTokenId", self.client("sts", key="AKIAUNKNOWN").get_caller_identity)
        self.refused("UnrecognizedClientException", self.client("pricing", key="AKIAUNKNOWN").get_products, ServiceCode="AmazonEC2")
        self.refused("AuthFailure", self.client(token="x").describe_regions)
        status, _, text = ask("POST", self.cloud.hello["aws"], {})
        self.assertEqual(status, 403)
        self.assertIn("<Code>MissingAuthenticationToken</Code>", text)

    def test_a_session_counts_with_its_token_until_it_expires(self):
        session = {"vendor": "aws", "id": "ASIASESSION", "secret": "s", "session_token": "t/+="}
        self.cloud.control("POST", "keys", session)
        self.client(key="ASIASESSION", secret="s", token="t/+=").describe_regions()
        self.refused("AuthFailure", self.client(key="ASIASESSION", secret="s").describe_regions)
        self.cloud.control("POST", "keys", {**session, "expired": True})
        self.refused("RequestExpired", self.client(key="ASIASESSION", secret="s", token="t/+=").describe_regions)
        self.refused("ExpiredToken", self.client("sts", key="ASIASESSION", secret="s", token="t/+=").get_caller_identity)

    def test_a_clock_that_is_wrong_refuses_what_is_signed(self):
        self.cloud.control("POST", "clock", {"skew_ms": 301_000})
        self.refused("RequestExpired", self.client().describe_regions)
        self.refused("SignatureDoesNotMatch", self.client("sts").get_caller_identity)

    def test_time_that_passes_at_once_is_no_skew(self):
        self.cloud.control("POST", "clock", {"advance_ms": 3_600_000})
        self.client().describe_regions()

    def test_another_account_sees_nothing_of_ours(self):
        instance = self.launch()["InstanceId"]
        self.cloud.control("POST", "keys", {"vendor": "aws", "id": "AKIAOTHER", "secret": "s", "account": "other"})
        other = self.client(key="AKIAOTHER", secret="s")
        self.assertEqual(other.describe_instances()["Reservations"], [])
        self.refused("InvalidInstanceID.NotFound", other.terminate_instances, InstanceIds=[instance])

    def test_a_key_without_pricing_still_rents(self):
        self.cloud.control("POST", "keys", {"vendor": "aws", "id": "AKIAPOOR", "secret": "s", "denies": ["GetProducts"]})
        self.refused("AccessDeniedException", self.client("pricing", key="AKIAPOOR", secret="s").get_products, ServiceCode="AmazonEC2")
        self.launch(client=self.client(key="AKIAPOOR", secret="s"))


if __name__ == "__main__":
    unittest.main()
