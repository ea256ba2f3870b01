#!/usr/bin/env python3
"""Reduces Discord's OpenAPI document to the routes that the relay and its tests use.

Usage: reduce.py specs/openapi.json > openapi.json
"""

import json
import sys

ROUTES = {
    "/gateway": ["get"],
    "/gateway/bot": ["get"],
    "/users/@me": ["get"],
    "/applications/@me": ["get"],
    "/oauth2/applications/@me": ["get"],
    "/applications/{application_id}/commands": ["get", "put"],
    "/applications/{application_id}/guilds/{guild_id}/commands": ["get", "put"],
    "/channels/{channel_id}": ["get", "patch"],
    "/channels/{channel_id}/typing": ["post"],
    "/channels/{channel_id}/messages": ["get", "post"],
    "/channels/{channel_id}/messages/{message_id}": ["get", "patch", "delete"],
    "/channels/{channel_id}/messages/{message_id}/reactions/{emoji_name}/@me": ["put", "delete"],
    "/guilds/{guild_id}": ["get"],
    "/guilds/{guild_id}/roles": ["get"],
    "/guilds/{guild_id}/channels": ["get"],
    "/guilds/{guild_id}/members/{user_id}": ["get"],
    "/guilds/{guild_id}/threads/active": ["get"],
    "/interactions/{interaction_id}/{interaction_token}/callback": ["post"],
    "/webhooks/{webhook_id}/{webhook_token}": ["post"],
    "/webhooks/{webhook_id}/{webhook_token}/messages/@original": ["get", "patch", "delete"],
}


def without_prose(value):
    """The value without descriptions, titles of enum members and extensions."""
    if isinstance(value, list):
        return [without_prose(item) for item in value]
    if not isinstance(value, dict):
        return value
    # A property may be called "description": only a text is prose.
    prose = lambda key, inner: key.startswith("x-") or (key in ("description", "title") and isinstance(inner, str))
    return {key: without_prose(inner) for key, inner in value.items() if not prose(key, inner)}


def operation(found):
    """Query parameters, request body and good answer of an operation."""
    kept = {"query": [given["name"] for given in found.get("parameters", []) if given["in"] == "query"]}
    body = found.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        kept["request"] = body["schema"]
    answer = found["responses"].get("200", {}).get("content", {}).get("application/json")
    if answer:
        kept["answer"] = answer["schema"]
    return kept


def references(value):
    """The names of the schemas that a value refers to."""
    if isinstance(value, list):
        return set().union(*map(references, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"].rsplit("/", 1)[1]} if isinstance(value.get("$ref"), str) else set()
    return own.union(*map(references, value.values()))


def main():
    document = json.load(open(sys.argv[1]))
    routes = {
        path: {method: without_prose(operation(document["paths"][path][method])) for method in methods}
        for path, methods in ROUTES.items()
    }
    schemas, missing = {}, references(routes)
    while missing:
        name = missing.pop()
        schemas[name] = without_prose(document["components"]["schemas"][name])
        missing |= references(schemas[name]) - schemas.keys()
    reduced = {"routes": routes, "components": {"schemas": schemas}}
    json.dump(reduced, sys.stdout, separators=(",", ":"), sort_keys=True)
    print()


main()
