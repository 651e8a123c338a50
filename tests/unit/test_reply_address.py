"""Where replies may go, and where a sender may not make the worker write."""

import pytest

from worker.amqp.codec.reply_address import ReplyAddresses

DIRECT = "amq.rabbitmq.reply-to.g1h3AA5yZXBseUAxMjIyNTI3NjkAAA+/MAAAAAFoTG=.bN_fJ4xU-w=="
CONTRACT = ReplyAddresses(namespace="streams", also=None)


@pytest.mark.parametrize(
    "address",
    [
        DIRECT,
        "amq.rabbitmq.reply-to.A",
        "amq.rabbitmq.reply-to." + "A" * 230,
        "amq.gen-JzTY20BRgKO-HjmUJj0wLg",
        "amq.gen-_",
        "streams.reply.cam-1",
        "streams.reply.a.b:c_d",
        "streams.reply." + "a" * 190,
    ],
)
def test_the_three_kinds_of_the_contract_are_allowed(address: str) -> None:
    assert CONTRACT.allows(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "streams.commands",
        "streams.dead",
        "streams.events",
        "somebody-elses-queue",
        "amq.rabbitmq.reply-to",
        "amq.rabbitmq.reply-to.",
        "amq.rabbitmq.reply-to.A B",
        "amq.rabbitmq.reply-to.A\n",
        "amq.rabbitmq.reply-to." + "A" * 231,
        "amqxrabbitmq.reply-to.AAAA",
        "amq.gen-",
        "amq.gen-a b",
        "amq.gen-abc\n",
        "amq.gen-abc\r",
        "amq.gen-abc\x00",
        "amq.gen-é",
        "amq.gen-" + "a" * 129,
        "xamq.gen-abc",
        " amq.gen-abc",
        "AMQ.GEN-abc",
        "other\namq.gen-abc",
        "amq.gen-abc\namq.gen-abc",
        "streams.reply",
        "streams.reply.",
        "streams.reply.a b",
        "streams.reply.*",
        "streams.reply.#",
        "streams.replyx",
        "streamsxreply.a",
        "streams.reply.a\n",
        "streams.reply." + "a" * 191,
        "xstreams.reply.a",
        "other.reply.a",
    ],
)
def test_everything_else_is_refused(address: str) -> None:
    assert not CONTRACT.allows(address)


def test_the_namespace_is_taken_literally() -> None:
    addresses = ReplyAddresses(namespace="a.b", also=None)

    assert addresses.allows("a.b.reply.x")
    assert not addresses.allows("axb.reply.x")
    assert not addresses.allows("streams.reply.x")


def test_an_address_has_255_bytes_at_most() -> None:
    addresses = ReplyAddresses(namespace="n" * 64, also=".*")

    assert addresses.allows("x" * 255)
    assert not addresses.allows("x" * 256)
    assert not addresses.allows("é" * 128)


def test_a_setting_allows_more_and_takes_nothing_away() -> None:
    addresses = ReplyAddresses(namespace="streams", also=r"replies\.[a-z]+|boxes\.\d")

    assert addresses.allows("replies.cam")
    assert addresses.allows("boxes.7")
    assert addresses.allows("streams.reply.cam-1")
    assert addresses.allows(DIRECT)


@pytest.mark.parametrize("address", ["replies.cam\n", "xreplies.cam", "replies.cam.x", "replies."])
def test_what_a_setting_allows_has_to_match_as_a_whole(address: str) -> None:
    assert not ReplyAddresses(namespace="streams", also=r"replies\.[a-z]+").allows(address)


def test_flags_of_a_setting_hold_for_the_setting_alone() -> None:
    addresses = ReplyAddresses(namespace="streams", also=r"(?i)replies\.[a-z]+")

    assert addresses.allows("REPLIES.CAM")
    assert not addresses.allows("STREAMS.REPLY.CAM")
