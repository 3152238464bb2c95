#!/usr/bin/env python3
"""Writes the tables of docs/json.md from the schemas beside this file: `docs/schema/page.py`; `--check` says whether they are current."""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "json.md"
COMMON = json.loads((HERE / "common.json").read_text())["$defs"]
# Definitions of common.json that have tables of their own.
SHARED = ["grid", "pass", "plan", "progress", "stages", "offer", "step", "target_size", "disk"]


def kind(schema):
    """A type in words; shared definitions are links."""
    if "$ref" in schema:
        name = schema["$ref"].split("/")[-1]
        return f"[{name}](#{name})" if name in SHARED else "object"
    if "anyOf" in schema:
        return " or ".join(kind(one) for one in schema["anyOf"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`".replace('"', "")
    if "enum" in schema:
        return ", ".join("null" if value is None else f"`{value}`" for value in schema["enum"])
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if types == ["array"]:
        items = kind(schema["items"])
        exact = schema.get("minItems")
        return f"{exact} x {items}" if exact and exact == schema.get("maxItems") else f"list of {items}"
    return " or ".join(types)


def inner(schema):
    """The object that a member holds, itself or in a list, if it is described in place."""
    if "$ref" in schema:
        return None
    for one in schema.get("anyOf", []):
        if found := inner(one):
            return found
    if schema.get("type") == "array":
        return inner(schema["items"])
    return schema if "properties" in schema else None


def rows(schema, defs, before=""):
    for name, member in schema["properties"].items():
        local = defs.get(member.get("$ref", "").removeprefix("#/$defs/"))
        shown = "object" if local else kind(member)
        absent = "" if name in schema["required"] else "; may be absent"
        text = member.get("description") or COMMON.get(member.get("$ref", "").split("/")[-1], {}).get("description", "")
        yield f"| `{before}{name}` | {shown}{absent} | {text} |"
        items = member.get("items", {})
        within = local or defs.get(items.get("$ref", "").removeprefix("#/$defs/")) or inner(member)
        if within:
            yield from rows(within, defs, f"{before}{name}.")


def table(schema, defs):
    head = ["| member | type | what |", "|---|---|---|"]
    return "\n".join(head + list(rows(schema, defs)))


def text_of(name):
    if name == "shared":
        return "\n\n".join(f"### {name}\n\n{COMMON[name]['description']}.\n\n{table(COMMON[name], {})}" for name in SHARED)
    schema = json.loads((HERE / f"{name}.json").read_text())
    if name == "progress":
        return "\n\n".join(f"{event['description']}:\n\n{table(event, {})}" for event in schema["oneOf"])
    if name in ("batch", "batch-plan"):
        own = {k: v for k, v in schema["items"]["properties"].items() if k not in SUMMARY or k in ("schema", "input", "output")}
        plain = {k: {m: v for m, v in member.items() if m != "properties"} for k, member in own.items()}
        return table({"properties": plain, "required": schema["items"]["required"]}, {})
    return table(schema, schema.get("$defs", {}))


SUMMARY = json.loads((HERE / "summary.json").read_text())["properties"]


def main():
    page = PAGE.read_text()
    for name in ["summary", "pyramid", "info", "compare", "verify", "status", "batch", "batch-plan", "progress", "shared"]:
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, rest = page.split(start)
        page = before + start + "\n" + text_of(name) + "\n\n" + end + rest.split(end)[1]
    if "--check" in sys.argv:
        if page != PAGE.read_text():
            sys.exit("docs/json.md is not what the schemas say: run docs/schema/page.py")
    else:
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
