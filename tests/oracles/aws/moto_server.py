"""moto's own server, with one gap filled: in two calls it takes a `*` in a filter's value for a letter, where EC2
takes it for any text ("Filter using the CLI and API" in the EC2 user guide).
"""

import fnmatch
import functools
import inspect

from moto.ec2.models import EC2Backend
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.server import main

NAMES = sorted(INSTANCE_TYPES)


def with_wildcards(method):
    @functools.wraps(method)
    def called(*args, **others):
        given = inspect.signature(method).bind(*args, **others).arguments
        filters = dict(given.get("filters") or {})
        patterns = filters.get("instance-type")
        if patterns is not None:
            filters["instance-type"] = [name for each in patterns for name in fnmatch.filter(NAMES, each)]
        return method(**{**given, "filters": filters})

    return called


for name in ("describe_instance_type_offerings", "describe_spot_price_history"):
    setattr(EC2Backend, name, with_wildcards(getattr(EC2Backend, name)))

if __name__ == "__main__":
    main()
