"""Where RabbitMQ's programs come from."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.project import ROOT
from devtools.rabbitmq import newest, programs_in, rabbitmq


@pytest.fixture
def erlang(tmp_path: Path) -> str:
    folder = tmp_path / "erlang"
    folder.mkdir()
    for name in ("erl", "epmd"):
        (folder / name).touch(mode=0o755)
    return str(folder)


def home(tmp_path: Path, name: str, *, plugins: bool = True) -> Path:
    made = tmp_path / name
    (made / "sbin").mkdir(parents=True)
    for script in ("rabbitmq-server", "rabbitmqctl"):
        (made / "sbin" / script).touch(mode=0o755)
    if plugins:
        (made / "plugins").mkdir()
    return made


def test_a_wrapper_is_passed_over_for_the_real_script(tmp_path: Path, erlang: str) -> None:
    wrapper, real = home(tmp_path, "usr", plugins=False), home(tmp_path, "rabbitmq_server-3.10.8")
    found = programs_in([wrapper, real], erlang=erlang)
    assert found is not None
    assert found.server == real / "sbin/rabbitmq-server"
    assert found.ctl == real / "sbin/rabbitmqctl"
    assert found.path.startswith(f"{erlang}:")


def test_a_server_without_erlang_is_none(tmp_path: Path) -> None:
    assert programs_in([home(tmp_path, "rabbitmq_server-3.10.8")], erlang=str(tmp_path)) is None


def test_the_newest_version_comes_first_by_number(tmp_path: Path) -> None:
    for version in ("3.9.2", "3.10.8", "4.0.1"):
        home(tmp_path, f"rabbitmq_server-{version}")
    assert [found.name.partition("-")[2] for found in newest(tmp_path)] == ["4.0.1", "3.10.8", "3.9.2"]


@pytest.mark.parametrize("arguments", [[], ["--tools"]])
def test_the_second_setup_does_nothing_and_says_nothing(arguments: list[str]) -> None:
    first = rabbitmq()
    before = first.server.stat()
    command = [sys.executable, "-m", "devtools.setup", *arguments]
    done = subprocess.run(  # noqa: S603 - our own program
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert rabbitmq() == first
    assert first.server.stat().st_ino == before.st_ino
