"""Validates a YAML report against a JSON Schema and prints it as JSON: `benchmark_report.py SCHEMA REPORT`."""

import json
import sys

import jsonschema
import yaml


class Plain(yaml.SafeLoader):
    """Times stay texts, as the schema has them."""


Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

schema_file, report_file = sys.argv[1:]
with open(schema_file) as file:
    schema = json.load(file)
with open(report_file) as file:
    report = yaml.load(file, Plain)
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.validate(report, schema, cls=jsonschema.Draft202012Validator)
print(json.dumps(report))
