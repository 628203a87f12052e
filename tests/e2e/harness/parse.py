"""Reads standard input with a parser that is not ours and writes what it found as JSON.

    parse.py csv | prometheus | openmetrics
"""

import csv
import io
import json
import sys

from prometheus_client import parser as prometheus
from prometheus_client.openmetrics import parser as openmetrics


def table(text):
    """Every row as an object; one that is longer or shorter than the header is an error."""
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def families(parser):
    def read(text):
        found = [
            {
                "name": family.name,
                "type": family.type,
                "unit": family.unit,
                "help": family.documentation,
                "samples": [{"name": sample.name, "labels": sample.labels, "value": sample.value} for sample in family.samples],
            }
            for family in parser.text_string_to_metric_families(text)
        ]
        series = [(sample["name"], *sorted(sample["labels"].items())) for family in found for sample in family["samples"]]
        for what, names in (("family", [family["name"] for family in found]), ("series", series)):
            twice = {name for name in names if names.count(name) > 1}
            assert not twice, f"the same {what} twice: {twice}"
        return found

    return read


READ = {"csv": table, "prometheus": families(prometheus), "openmetrics": families(openmetrics)}

if __name__ == "__main__":
    json.dump(READ[sys.argv[1]](sys.stdin.buffer.read().decode()), sys.stdout)
