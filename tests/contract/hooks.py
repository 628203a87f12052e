"""What schemathesis cannot know: names of things that exist, so that requests get further than a 404.

Inference goes to a model whose server answers, in an organisation that no administrator's request touches:
a random policy or a drained server makes honest 5xx. Administrators' requests go to one of their own, with
a store of servers and keys to be spoiled. What is malformed stays malformed.
"""

import json
import os
from itertools import cycle

import schemathesis

WORLD = json.loads(os.environ["TIDEGATE_WORLD"])
SERVERS = cycle(WORLD["servers"])
KEYS = cycle(WORLD["keys"])


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    if path.startswith("/admin/"):
        headers = case.headers
        if headers is not None and headers.get("X-Tidegate-Org", "default") == "default":
            headers["X-Tidegate-Org"] = WORLD["org"]
    if isinstance(case.body, dict):
        body = case.body
        if is_name(body.get("model")):
            body["model"] = WORLD["model"]
        if is_name(body.get("endpoint_url")) and body["endpoint_url"].startswith("http"):
            body["endpoint_url"] = WORLD["upstream"]
    parameters = case.path_parameters or {}
    if is_name(parameters.get("model")):
        parameters["model"] = WORLD["model"]
    if is_name(parameters.get("id")):
        if path.startswith(("/admin/servers/", "/admin/register/")):
            parameters["id"] = next(SERVERS)
        elif path.startswith("/admin/keys/"):
            parameters["id"] = next(KEYS)


def is_name(value):
    return isinstance(value, str) and 0 < len(value) <= 256 and value.isprintable()
