"""From a form body back to the parameters that botocore's service model knows: the serializer read backwards."""

import datetime
import re
import urllib.parse


class Unknown(AssertionError):
    """A name that the model does not have, or a value that does not fit."""


def parameters(body, operation, protocol):
    """The parameters of a body, each checked against the operation's shapes."""
    pairs = urllib.parse.parse_qsl(body, keep_blank_values=True, strict_parsing=True)
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise Unknown(f"a name stands there twice: {names}")
    said = dict(pairs)
    if said.pop("Action") != operation.name:
        raise Unknown("another action")
    said.pop("Version")
    tree = {}
    for name, value in said.items():
        *path, last = name.split(".")
        at = tree
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return read(tree, operation.input_shape, protocol, operation.name) if tree else {}


def wire_name(name, shape, protocol):
    """As EC2's serializer names a member; the plain query protocol takes the name as it is."""
    own = shape.serialization
    if protocol == "ec2":
        if "queryName" in own:
            return own["queryName"]
        if "name" in own:
            return own["name"][0].upper() + own["name"][1:]
    return own.get("name", name)


def read(value, shape, protocol, at):
    if shape.type_name == "structure":
        known = {wire_name(name, member, protocol): (name, member) for name, member in shape.members.items()}
        found = {}
        for wire, inner in value.items():
            if wire not in known:
                raise Unknown(f"{at} has no {wire}; it has {sorted(known)}")
            name, member = known[wire]
            found[name] = read(inner, member, protocol, f"{at}.{wire}")
        return found
    if shape.type_name == "list":
        numbers = sorted(map(int, value))
        if numbers != list(range(1, len(numbers) + 1)):
            raise Unknown(f"{at} is numbered {numbers}")
        return [read(value[str(number)], shape.member, protocol, f"{at}.{number}") for number in numbers]
    if not isinstance(value, str):
        raise Unknown(f"{at} is one value and got several")
    return scalar(value, shape, at)


def scalar(text, shape, at):
    kind = shape.type_name
    if kind == "boolean":
        if text not in ("true", "false"):
            raise Unknown(f"{at} is no boolean: {text}")
        return text == "true"
    if kind in ("integer", "long"):
        return int(text)
    if kind == "timestamp":
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text):
            raise Unknown(f"{at} is no moment: {text}")
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if kind != "string":
        raise Unknown(f"{at} is a {kind}")
    enum = getattr(shape, "enum", [])
    # Machine types and the like grow faster than the model: those alone may be new.
    if enum and text not in enum and shape.name != "InstanceType":
        raise Unknown(f"{at} may be {enum}, not {text}")
    return text


def leads_somewhere(path, shape):
    """Whether a path of XML names leads through a shape; lists are passed through, as `item` is in the answer."""
    for name in path.split("/"):
        while shape.type_name == "list":
            shape = shape.member
        if shape.type_name != "structure":
            return False
        by_name = {member.serialization.get("name", own): member for own, member in shape.members.items()}
        if name not in by_name:
            return False
        shape = by_name[name]
    return True
