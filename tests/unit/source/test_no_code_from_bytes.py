"""Nothing that runs what it reads: no pickle, marshal, eval, exec, yaml.load in the product."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.artifact import ArtifactError, from_bytes, sha256_of

REPO = Path(__file__).parents[3]
SOURCES = sorted(
    p for name in ("stream", "models", "training") for p in (REPO / name).rglob("*.py")
)
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {("yaml", "load"), ("yaml", "unsafe_load"), ("yaml", "full_load"), ("torch", "load")}
ATTRIBUTES |= {("numpy", "load"), ("np", "load"), ("pandas", "read_pickle"), ("pd", "read_pickle")}


def dangers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            found = {(node.module or "", alias.name) for alias in node.names} & ATTRIBUTES
            yield from (f"{module}.{name}" for module, name in found)
        else:
            names = []
        yield from (name for name in names if name.partition(".")[0] in MODULES)
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in BUILTINS:
                yield name
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                if (module, name) in ATTRIBUTES:
                    yield f"{module}.{name}"


def test_the_product_runs_nothing_that_it_reads() -> None:
    assert len(SOURCES) > 100
    found = {
        f"{source.relative_to(REPO)}: {danger}"
        for source in SOURCES
        for danger in dangers(ast.parse(source.read_text("utf-8")))
    }
    assert found == set()


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "import os, marshal as m",
        "from pickle import loads",
        "eval('1')",
        "exec(text)",
        "import yaml\nyaml.load(text)",
        "from yaml import load",
        "import joblib.numpy_pickle",
        "__import__(name)",
    ],
)
def test_the_search_finds_what_it_is_for(text: str) -> None:
    assert list(dangers(ast.parse(text)))


@pytest.mark.parametrize("raw", [b"{", b"", b'{"name": "not what was stored"}'])
def test_bytes_of_another_sha256_are_refused_before_they_are_parsed(raw: bytes) -> None:
    with pytest.raises(ArtifactError, match="artifact damaged: expected sha256 "):
        from_bytes(raw, sha256_of(b"what was stored"))
