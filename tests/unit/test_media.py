"""Which media types are JSON as we read it."""

import pytest

from worker.amqp.codec.media import is_json


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "APPLICATION/Json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json ; charset=utf8",
        "application/json; profile=x; charset=utf-8",
        "application/json;",
        "application/json; a*=x; a*0=y",
    ],
)
def test_this_is_json(content_type: str | None) -> None:
    assert is_json(content_type, None)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/json",
        "text/plain",
        "application/problem+json",
        "application/cloudevents+json",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/json; charset=",
        "application/json; charset*=utf-8''utf-8",
        "application/jsonx",
        "application/json, text/plain",
        "json",
        "/",
        ";",
        "application/json\n",
        "application/json\r\nx-header: 1",
        "appli\ncation/json",
        "application/json\x00",
        "applicati\u00f6n/json",
        "application/json; charset=utf-8; charset=latin-1",
    ],
)
def test_this_is_not_json(content_type: str) -> None:
    assert not is_json(content_type, None)


@pytest.mark.parametrize("encoding", ["gzip", "identity", "utf-8", " "])
def test_an_encoded_body_is_not_read(encoding: str) -> None:
    assert not is_json("application/json", encoding)


@pytest.mark.parametrize("encoding", [None, ""])
def test_an_absent_encoding_is_none(encoding: str | None) -> None:
    assert is_json("application/json", encoding)
