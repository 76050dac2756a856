"""The committed stubs and the protos agree, and `make check` notices when they do not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, at: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=at, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the protos and of the stubs of sessiond, freshly made."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    assert generate(tmp_path).returncode == 0
    return tmp_path


def generate(at: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "protos/generate.py", *arguments, at=at)


def buf(at: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(Path(sys.executable).with_name("buf"), *arguments, at=at)


def test_fresh_stubs_pass_the_check(copy: Path) -> None:
    """`make protos` gives what `make check` wants."""
    assert generate(copy, "--check").returncode == 0


@pytest.mark.parametrize("name", ["session_pb2.py", "session_pb2.pyi"])
def test_a_stub_that_was_edited_is_named(copy: Path, name: str) -> None:
    """A difference of one line in a stub is found."""
    stub = copy / "sessiond" / "v1" / name
    stub.write_text(stub.read_text() + "# edited\n")
    done = generate(copy, "--check")
    assert done.returncode == 1
    assert done.stderr == f"sessiond/v1/{name} differs from what protos/ gives; run: make protos\n"


def test_a_stub_whose_proto_is_gone_is_named_and_then_removed(copy: Path) -> None:
    """Stubs do not outlive their proto."""
    orphan = copy / "sessiond" / "v1" / "gone_pb2.py"
    orphan.write_text("")
    assert "gone_pb2.py differs" in generate(copy, "--check").stderr
    assert generate(copy).returncode == 0
    assert not orphan.exists()


def test_a_field_without_a_comment_is_named(copy: Path) -> None:
    """buf reads comments from the descriptor set, offline."""
    proto = copy / "protos" / "sessiond" / "v1" / "extra.proto"
    proto.write_text(
        'syntax = "proto3";\npackage sessiond.v1;\n'
        "// Extra.\nmessage Extra {\n  string bare = 1;\n}\n"
    )
    assert generate(copy).returncode == 0
    done = buf(copy, "lint", "build/protos.binpb")
    assert done.returncode == 100
    assert 'Field "bare" should have a non-empty comment' in done.stdout


def test_a_field_that_was_taken_away_breaks_the_released_contract(copy: Path) -> None:
    """`buf breaking` compares with the last release's descriptor set."""
    released = FileDescriptorSet.FromString((copy / "build" / "protos.binpb").read_bytes())
    session = next(file for file in released.file if file.name == "sessiond/v1/session.proto")
    session.message_type[0].field.add(name="once_there", number=9999, type=9, label=1)
    (copy / "released.binpb").write_bytes(released.SerializeToString())
    done = buf(copy, "breaking", "build/protos.binpb", "--against", "released.binpb")
    assert done.returncode == 100
    assert 'with name "once_there"' in done.stdout
