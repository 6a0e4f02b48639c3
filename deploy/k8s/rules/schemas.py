"""Shapes: Kubernetes' own by its published schemas, strictly; custom resources by small ones in schemas/."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema
import kubernetes_validate.utils
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from deploy.k8s.manifests import Manifests
from deploy.k8s.render import FOLDER

VERSIONS = ("1.32", "1.37")
"""The oldest and the newest Kubernetes that the manifests are for: preStop.sleep is on by default since 1.30."""
_BUILT_IN = ("k8s.io", "apps", "batch", "policy", "autoscaling", "v1")


def built_in(manifests: Manifests) -> Iterator[str]:
    """No field that Kubernetes does not know."""
    for version in VERSIONS:
        for item in manifests.objects:
            if _custom(item):
                continue
            if problem := _judged(json.dumps(item), version):
                yield f"{item['kind']} {item['metadata']['name']} ({version}): {problem}"


def custom(manifests: Manifests) -> Iterator[str]:
    """Of operators' kinds: what we use of them, and nothing that we only believe to be there."""
    for item in manifests.objects:
        if not _custom(item):
            continue
        where = f"{item['kind']} {item['metadata']['name']}"
        schema = _schema(item["kind"])
        if schema is None or schema["properties"]["apiVersion"]["const"] != item["apiVersion"]:
            yield f"{where}: there is no schema for {item['apiVersion']} {item['kind']} in deploy/k8s/schemas"
            continue
        for error in Draft202012Validator(schema).iter_errors(item):
            yield f"{where}: {'.'.join(map(str, error.absolute_path))}: {error.message}"


def _custom(item: dict[str, Any]) -> bool:
    group = item["apiVersion"].partition("/")[0]
    built = group in _BUILT_IN or group.endswith(".k8s.io")
    return not built or group.startswith("gateway.networking")


@cache
def _judged(item: str, version: str) -> str | None:
    """Overlays have most things in common: each is looked at once."""
    read = json.loads(item)
    try:
        validator = _validator(read["apiVersion"], read["kind"], version)
    except FileNotFoundError:
        return f"there is no {read['apiVersion']} {read['kind']}"
    error = jsonschema.exceptions.best_match(validator.iter_errors(read))
    return None if error is None else f"{'.'.join(map(str, error.absolute_path))}: {error.message}"


@cache
def _validator(api_version: str, kind: str, version: str) -> Any:
    """As `kubernetes_validate.validate` makes one for each object, and reads a megabyte of definitions each time."""
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    schema = _published(f"{kind.lower()}-{group}", version)
    definitions = Resource.from_contents(_published("_definitions", version))
    return Draft202012Validator(schema, registry=definitions @ Registry())


@cache
def _published(name: str, version: str) -> Any:
    path = f"kubernetes-json-schema/v{version}.0-local-strict/{name}.json"
    return kubernetes_validate.utils.schema_contents(path, version)


@cache
def _schema(kind: str) -> dict[str, Any] | None:
    path = FOLDER / "schemas" / f"{kind}.json"
    return json.loads(path.read_text()) if path.exists() else None
