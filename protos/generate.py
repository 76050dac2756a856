"""Turn `protos/**/*.proto` into Python stubs beside the code that uses them.

A proto's path is its Python path: `protos/sessiond/v1/session.proto` becomes
`sessiond/v1/session_pb2.py` and its `.pyi`; a file that declares a service gets `_pb2_grpc` too.
The comments of the API are kept too, by the full names of what they stand at, in
`gateway/descriptions.json`: the OpenAPI document is written with them.
The stubs are committed. `--check` regenerates them elsewhere and names every file that differs.
Both ways leave `build/protos.binpb`, the descriptor set that buf lints and compares.
"""

from __future__ import annotations

import argparse
import json
import sys
import sysconfig
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

SOURCES = Path(__file__).resolve().parent
ROOT = SOURCES.parent
DESCRIPTORS = ROOT / "build" / "protos.binpb"
RELEASED = SOURCES / "released.binpb"
DESCRIPTIONS = "gateway/descriptions.json"
DESCRIBED = "sessiond/v1/"
STUB_SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def run_protoc(*arguments: str) -> None:
    """Run protoc over our sources; its own message on stderr is the explanation of a failure."""
    # google/api and google/rpc come with googleapis-common-protos, google/protobuf with grpc_tools.
    includes = (SOURCES, sysconfig.get_path("purelib"), resources.files("grpc_tools") / "_proto")
    scripts = Path(sys.executable).parent
    status = protoc.main(
        [
            "protoc",
            *(f"--proto_path={include}" for include in includes),
            f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
            *arguments,
        ]
    )
    if status != 0:
        raise SystemExit(status)


def describe(protos: list[str]) -> FileDescriptorSet:
    """Write the descriptor set, and return it."""
    DESCRIPTORS.parent.mkdir(exist_ok=True)
    run_protoc(
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={DESCRIPTORS}",
        *protos,
    )
    return FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())


def comments(file: FileDescriptorProto) -> dict[str, str]:
    """Return the comment of everything in a file that has one, by its full name."""
    found = {}
    for location in file.source_code_info.location:
        if not location.leading_comments or len(location.path) % 2:
            continue
        place: Any = file
        names = [file.package]
        # A path is pairs: the number of a repeated field, and the index in it.
        for number, index in zip(location.path[::2], location.path[1::2], strict=True):
            place = getattr(place, place.DESCRIPTOR.fields_by_number[number].name)[index]
            names.append(place.name)
        lines = [line.removeprefix(" ") for line in location.leading_comments.splitlines()]
        found[".".join(names)] = "\n".join(lines).strip()
    return found


def write_descriptions(described: FileDescriptorSet, target: Path) -> None:
    """Write the comments of the API below `target`."""
    path = target / DESCRIPTIONS
    path.parent.mkdir(exist_ok=True)
    found: dict[str, str] = {}
    for file in described.file:
        if file.name.startswith(DESCRIBED):
            found |= comments(file)
    path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def generate(target: Path) -> None:
    """Write all stubs, and the packages that hold them, below `target`."""
    protos = sorted(str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.proto"))
    described = describe(protos)
    write_descriptions(described, target)
    with_services = [file.name for file in described.file if file.service and file.name in protos]
    run_protoc(f"--python_out={target}", f"--mypy_out=quiet:{target}", *protos)
    if with_services:
        run_protoc(f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}", *with_services)
    for package in {(target / proto).parent for proto in protos}:
        marker = package / "__init__.py"
        if not marker.exists():
            source = package.relative_to(target)
            marker.write_text(f'"""Generated from `protos/{source}` by `make protos`."""\n')


def generated(root: Path) -> dict[str, bytes]:
    """Return all that `generate` wrote below `root`, by its path."""
    descriptions = root / DESCRIPTIONS
    written = {DESCRIPTIONS: descriptions.read_bytes()} if descriptions.exists() else {}
    return stubs(root) | written


def stubs(root: Path) -> dict[str, bytes]:
    """Return every stub below the packages of `root`, by its path."""
    packages = {path.relative_to(SOURCES).parts[0] for path in SOURCES.rglob("*.proto")}
    return {
        str(path.relative_to(root)): path.read_bytes()
        for package in packages
        for path in (root / package).rglob("*_pb2*")
        if path.name.endswith(STUB_SUFFIXES)
    }


def differences() -> list[str]:
    """Return the paths of files that are missing, stale, or made by no proto any more."""
    with tempfile.TemporaryDirectory() as fresh:
        generate(Path(fresh))
        wanted, found = generated(Path(fresh)), generated(ROOT)
    return sorted(
        path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path)
    )


def remove_orphans() -> None:
    """Delete the stubs whose proto is gone."""
    for path in stubs(ROOT):
        stem = path.split("_pb2")[0]
        if not (SOURCES / f"{stem}.proto").exists():
            (ROOT / path).unlink()


def release() -> None:
    """Keep the contract as it is now: later ones are compared with it, comments aside."""
    released = FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    for file in released.file:
        file.ClearField("source_code_info")
    RELEASED.write_bytes(released.SerializeToString(deterministic=True))


def main() -> int:
    """Generate in place, or compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="change nothing, name what differs")
    parser.add_argument("--release", action="store_true", help="take what is here as released")
    told = parser.parse_args()
    if not told.check:
        remove_orphans()
        generate(ROOT)
        if told.release:
            release()
        return 0
    stale = differences()
    for path in stale:
        sys.stderr.write(f"{path} differs from what protos/ gives; run: make protos\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
