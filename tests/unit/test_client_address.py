"""The client does not connect less safely than its address looks."""

import re

import pytest

from stream_client import StreamsClient
from stream_client.address import checked_address

SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        "amqp://guest:guest@127.0.0.1:5672/",
        "amqp://broker.example/streams?heartbeat=5",
        "amqps://broker.example/?cafile=ca.pem&certfile=me.pem&keyfile=me.key",
        "amqps://broker.example/?cafile=ca.pem&auth=external&heartbeat=30",
    ],
)
def test_an_address_that_means_what_it_says_is_taken(url: str) -> None:
    assert str(checked_address(url)) == url
    StreamsClient(url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "should be amqp://host or amqps://host"),
        (f"http://worker:{SECRET}@broker.example/", "should be amqp://host or amqps://host"),
        (f"amqp://worker:{SECRET}@:5672/", "should be amqp://host or amqps://host"),
        (f"amqp://worker:x@broker.example:{SECRET}/", "should be amqp://host or amqps://host"),
        (f"amqps://worker:{SECRET}@broker.example/?no_verify_ssl=false", "has no_verify_ssl"),
        (f"amqps://worker:{SECRET}@broker.example/?no%5Fverify_ssl", "has no_verify_ssl"),
        (f"amqps://worker:{SECRET}@broker.example/?No_Verify_SSL=1", "may have no options but"),
        (f"amqps://worker:{SECRET}@broker.example/?ca_certs=ca.pem", "may have no options but"),
        (f"amqps://worker:{SECRET}@broker.example/?cafile=", "has an option without a value"),
        (f"amqp://worker:{SECRET}@broker.example/?cafile=ca.pem", "write amqps://"),
    ],
)
def test_an_address_that_would_be_misread_is_refused_and_not_shown(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        StreamsClient(url)
    assert SECRET not in repr(caught.value)
