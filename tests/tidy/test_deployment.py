"""What the deployment's files say of one another. That each is well-formed is their own tools' business."""

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from devtools.node import PLUGINS, SETTINGS
from worker.config import Settings, load_settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
MOUNTED = re.findall(r"file: deploy/secrets/(\w+)\.txt", COMPOSE)


def make_secrets(deploy: Path) -> dict[str, str]:
    script = str(deploy / "make-secrets.sh")
    subprocess.run(["/bin/sh", script], check=True, capture_output=True, timeout=60)  # noqa: S603 - our own script
    return {file.stem: file.read_text() for file in (deploy / "secrets").glob("*.txt")}


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    shutil.copy(ROOT / "deploy" / "make-secrets.sh", tmp_path)
    return tmp_path


def test_every_secret_that_compose_mounts_is_made(deploy: Path) -> None:
    assert sorted(make_secrets(deploy)) == sorted(MOUNTED)


def test_passwords_are_long_fit_into_an_address_and_differ(deploy: Path) -> None:
    secrets = make_secrets(deploy)
    passwords = {secrets["amqp_password"], secrets["postgres_password"]}
    assert len(passwords) == 2
    assert all(re.fullmatch(r"[0-9a-f]{48}", password) for password in passwords)


def test_making_secrets_again_keeps_them(deploy: Path) -> None:
    assert make_secrets(deploy) == make_secrets(deploy)


def test_containers_can_read_the_secrets_and_nobody_else_on_the_host(deploy: Path) -> None:
    make_secrets(deploy)
    assert stat.S_IMODE((deploy / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (deploy / "secrets").glob("*.txt")} == {0o644}


def test_the_worker_reads_its_addresses_from_the_secrets(deploy: Path) -> None:
    secrets = make_secrets(deploy)
    plaintext = re.search(r'STREAMS_AMQP_PLAINTEXT: "(\w+)"', COMPOSE)
    assert plaintext is not None
    settings = load_settings(
        {
            f"STREAMS_{name.upper()}_FILE": str(deploy / "secrets" / f"{name}.txt")
            for name in ("amqp_url", "database_url")
        }
        | {"STREAMS_AMQP_PLAINTEXT": plaintext[1]}
    )
    assert f":{secrets['amqp_password']}@rabbitmq:5672/" in settings.amqp_url.get_secret_value()
    assert f":{secrets['postgres_password']}@postgres:5432/" in settings.database_url.get_secret_value()


def test_the_services_that_the_addresses_name_are_there(deploy: Path) -> None:
    secrets = make_secrets(deploy)
    for name in ("amqp_url", "database_url"):
        host = re.search(r"@(\w+):", secrets[name])
        assert host is not None
        assert f"\n  {host[1]}:\n" in COMPOSE


def test_the_brokers_limit_of_a_message_is_the_one_that_is_tested() -> None:
    limit = re.search(
        r"^max_message_size = (\d+)$", (ROOT / "deploy" / "rabbitmq.conf").read_text("utf-8"), re.MULTILINE
    )
    assert limit is not None
    assert limit[1] == SETTINGS["max_message_size"]


def test_the_broker_has_the_plugins_that_are_tested_and_those_of_its_image() -> None:
    text = (ROOT / "deploy" / "enabled_plugins").read_text("utf-8")
    enabled = re.search(r"^\[([\w,]+)\]\.$", text, re.MULTILINE)
    assert enabled is not None
    assert set(enabled[1].split(",")) == {"rabbitmq_management", "rabbitmq_prometheus", *PLUGINS}
    assert "./deploy/enabled_plugins:/etc/rabbitmq/enabled_plugins:ro" in COMPOSE


def test_watch_syncs_into_the_python_of_the_image() -> None:
    images = set(re.findall(r"^FROM python:(\d\.\d+)", DOCKERFILE, re.MULTILINE))
    targets = set(re.findall(r"target: /opt/venv/lib/python(\d\.\d+)/", COMPOSE))
    assert len(images) == 1
    assert targets == images


def test_compose_waits_longer_than_a_drain_takes() -> None:
    drain = re.search(r"STREAMS_DRAIN_TIMEOUT_S:-(\d+)", COMPOSE)
    worker = COMPOSE[COMPOSE.index("\n  worker:\n") :]
    grace = re.search(r"stop_grace_period: (\d+)s", worker)
    assert drain is not None
    assert grace is not None
    assert int(drain[1]) == Settings.model_fields["drain_timeout_s"].default
    assert int(grace[1]) > int(drain[1])


def test_nothing_listens_beyond_this_host() -> None:
    published = re.findall(r"^      - (\S+:\d+)$", COMPOSE, re.MULTILINE)
    assert published
    assert all(address.startswith("127.0.0.1:") for address in published)


def test_the_image_runs_as_nobody_and_starts_the_worker_itself() -> None:
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert 'ENTRYPOINT ["stream-worker"]' in DOCKERFILE


def test_every_package_is_in_the_image_and_in_the_context_that_it_is_made_from() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert {"worker/", "schemas/", "stream_client/", "migrations/"} <= set(sources)
    assert {f"!{source}" for source in sources} <= set(ignored)
