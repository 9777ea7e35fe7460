"""Reads stories of metrics as command scrapers does, with both parsers of Python's prometheus_client: python.py FOLDER"""
import sys
from pathlib import Path

from prometheus_client import parser
from prometheus_client.openmetrics.parser import text_string_to_metric_families

bodies = 0
for story in sorted(Path(sys.argv[1]).glob("*.txt")):
    for part in ("\n" + story.read_text()).split("\n# minute ")[1:]:
        body = part.partition("\n")[2].rstrip("\n")
        if not body:
            continue  # the program did not run
        lines = sum(not line.startswith("#") for line in body.splitlines())
        for name, families in (
            ("text", parser.text_string_to_metric_families(body + "\n")),
            ("OpenMetrics", text_string_to_metric_families(body + "\n# EOF\n")),
        ):
            n = sum(len(family.samples) for family in families)
            if n != lines or n == 0:
                sys.exit(f"{story.name}, as {name}: {n} samples of {lines}")
            bodies += 1
if bodies == 0:
    sys.exit(f"{sys.argv[1]} has no stories: make rules writes them")
print(f"{bodies} bodies: both parsers of prometheus_client read them")
