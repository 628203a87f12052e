"""Holds XML to botocore's model of the API, more strictly than its parser does.

The parser passes over what it does not know and leaves out what is missing. Here an element without a member in
the model, a value outside its enumeration, and a number, flag or time that is none, is a mistake.
"""

import datetime
import re
import xml.etree.ElementTree as xml

FLAGS = ("true", "false")


def name(element):
    return element.tag.rpartition("}")[2]


def mistakes(element, shape, path=""):
    """All that is wrong below an element, one line each."""
    path = f"{path}/{name(element)}"
    kind = shape.type_name
    if kind == "structure":
        members = {member.serialization.get("name", key): member for key, member in shape.members.items()}
        for child in element:
            if name(child) in members:
                yield from mistakes(child, members[name(child)], path)
            else:
                yield f"{path}/{name(child)} is not in the model"
    elif kind == "list":
        for child in element:
            if name(child) != shape.member.serialization.get("name", "item"):
                yield f"{path} has a {name(child)} where the model has items"
            yield from mistakes(child, shape.member, path)
    else:
        text = element.text or ""
        if len(element) > 0:
            yield f"{path} has elements in it and is a {kind}"
        elif not fits(kind, shape, text):
            yield f"{path} is {text!r} and no {kind} of {getattr(shape, 'enum', None) or 'any kind'}"


def fits(kind, shape, text):
    if kind in ("integer", "long"):
        return re.fullmatch(r"-?\d+", text) is not None
    if kind in ("double", "float"):
        return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None
    if kind == "boolean":
        return text in FLAGS
    if kind == "timestamp":
        return bool(datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ"))
    # What an enumeration leaves empty is simply not said.
    return not getattr(shape, "enum", None) or text == "" or text in shape.enum


def judge(body, operation):
    """Mistakes in the answer of a successful call."""
    root = xml.fromstring(body)
    expected = f"{operation.name}Response"
    if name(root) != expected:
        return [f"the root is {name(root)} and not {expected}"]
    namespace = operation.service_model.metadata.get("xmlNamespace", "http://ec2.amazonaws.com/doc/2016-11-15")
    found = root.tag.rpartition("}")[0].lstrip("{").rstrip("/")
    if found != namespace.rstrip("/"):
        return [f"the namespace is {found} and not {namespace}"]
    shape = operation.output_shape
    known = {"requestId"}
    if shape is None:
        return []
    inner = xml.Element(root.tag)
    inner.extend(child for child in root if name(child) not in known)
    return list(mistakes(inner, shape))
