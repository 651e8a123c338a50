"""Settings that stand in files: one file each for the two addresses, and a folder for any of them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from worker.config import SettingsError, load_settings

SECRET = "hunter2"
AMQP = f"amqps://worker:{SECRET}@broker.example/streams"


def refusal(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    assert SECRET not in str(caught.value)
    assert str(caught.value).isprintable()
    return str(caught.value)


def folder(path: Path, files: Mapping[str, str]) -> str:
    for name, content in files.items():
        (path / name).write_text(content)
    return str(path)


def test_an_address_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "amqp_url"
    file.write_text(f"{AMQP}\n")
    assert load_settings({"STREAMS_AMQP_URL_FILE": str(file)}).amqp_url.get_secret_value() == AMQP


def test_an_address_is_given_once(tmp_path: Path) -> None:
    line = refusal(STREAMS_AMQP_URL=AMQP, STREAMS_AMQP_URL_FILE=str(tmp_path / "any"))
    assert line == "STREAMS_AMQP_URL and STREAMS_AMQP_URL_FILE are both set; set one"


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"x" * 10_000], ids=["missing", "not text", "too long"])
def test_a_file_that_holds_no_address_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "database_url"
    if content is not None:
        file.write_bytes(content)
    assert refusal(STREAMS_DATABASE_URL_FILE=str(file)).startswith("STREAMS_DATABASE_URL_FILE: ")


def test_any_setting_may_stand_in_a_folder_under_its_name_in_either_case(tmp_path: Path) -> None:
    given = {"STREAMS_AMQP_URL": f"{AMQP}\n", "streams_batch_max": "7", "STREAMS_OPERATORS": "ada,grace"}

    settings = load_settings({"STREAMS_SECRETS_DIR": folder(tmp_path, given)})

    assert settings.amqp_url.get_secret_value() == AMQP
    assert settings.batch_max == 7
    assert settings.operators == {"ada", "grace"}


def test_what_else_lies_in_the_folder_is_somebody_elses(tmp_path: Path) -> None:
    """As Kubernetes mounts a secret: what it is called is a link to a link."""
    (tmp_path / "..2026_01_12").mkdir()
    (tmp_path / "..2026_01_12" / "STREAMS_BATCH_MAX").write_text("7")
    (tmp_path / "..data").symlink_to("..2026_01_12")
    (tmp_path / "STREAMS_BATCH_MAX").symlink_to("..data/STREAMS_BATCH_MAX")
    (tmp_path / "password").write_bytes(b"\xff")

    assert load_settings({"STREAMS_SECRETS_DIR": str(tmp_path)}).batch_max == 7


def test_a_setting_is_not_given_in_the_environment_and_in_the_folder(tmp_path: Path) -> None:
    line = refusal(STREAMS_SECRETS_DIR=folder(tmp_path, {"streams_amqp_url": AMQP}), STREAMS_AMQP_URL=AMQP)

    assert line == "STREAMS_AMQP_URL is set twice: streams_amqp_url in STREAMS_SECRETS_DIR is one; set one"


def test_an_address_is_not_given_in_a_file_of_its_own_and_in_the_folder(tmp_path: Path) -> None:
    here = folder(tmp_path, {"STREAMS_AMQP_URL": AMQP})

    line = refusal(STREAMS_SECRETS_DIR=here, STREAMS_AMQP_URL_FILE=f"{here}/STREAMS_AMQP_URL")

    assert line.startswith("STREAMS_AMQP_URL is set twice: ")


def test_a_setting_is_not_given_in_two_files_of_the_folder(tmp_path: Path) -> None:
    here = folder(tmp_path, {"STREAMS_BATCH_MAX": "7", "streams_batch_max": "7"})

    assert refusal(STREAMS_SECRETS_DIR=here).startswith("STREAMS_BATCH_MAX is set twice: ")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("STREAMS_AMPQ_URL", "is not a setting; did you mean STREAMS_AMQP_URL?"),
        ("streams_ampq_url", "is not a setting; did you mean STREAMS_AMQP_URL?"),
        ("STREAMS_AMQP_URL_FILE", "is not a setting; did you mean STREAMS_AMQP_URL?"),
        ("STREAMS_SECRETS_DIR", "is not a setting"),
        ("STREAMS_AMQP_URL.txt", "is not a setting; did you mean STREAMS_AMQP_URL?"),
        ("streams_x\ny", "is not a setting"),
    ],
)
def test_a_file_with_a_misspelt_name_is_refused(tmp_path: Path, name: str, says: str) -> None:
    line = refusal(STREAMS_SECRETS_DIR=folder(tmp_path, {name: SECRET}))

    assert f" in STREAMS_SECRETS_DIR {says}" in line


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "STREAMS_AMQP_URL").mkdir()

    line = refusal(STREAMS_SECRETS_DIR=str(tmp_path))

    assert line == "STREAMS_AMQP_URL in STREAMS_SECRETS_DIR: cannot read the file: Is a directory"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 10_000], ids=["not text", "too long"])
def test_a_file_of_the_folder_that_holds_no_setting_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "STREAMS_NAMESPACE").write_bytes(content)

    assert refusal(STREAMS_SECRETS_DIR=str(tmp_path)).startswith("STREAMS_NAMESPACE in STREAMS_SECRETS_DIR: ")


def test_a_wrong_value_in_a_file_is_told_by_its_setting_and_not_shown(tmp_path: Path) -> None:
    line = refusal(STREAMS_SECRETS_DIR=folder(tmp_path, {"STREAMS_AMQP_URL": f"http://worker:{SECRET}@h/"}))

    assert line == "STREAMS_AMQP_URL should begin with amqp:// or amqps://"


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    line = refusal(STREAMS_SECRETS_DIR=str(tmp_path / "nowhere"))

    assert line == "STREAMS_SECRETS_DIR: cannot read the folder: No such file or directory"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    here = folder(tmp_path, {"STREAMS_AMQP_URL": AMQP})

    line = refusal(STREAMS_SECRETS_DIR=f"{here}/STREAMS_AMQP_URL")

    assert line == "STREAMS_SECRETS_DIR: cannot read the folder: Not a directory"
