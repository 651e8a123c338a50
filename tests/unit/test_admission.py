"""Who is let in, and the order in which it is asked; through the decoder, as messages are."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from tests.support.deliveries import ASKER, NOW, RETENTION_S, decoder, delivery
from worker.amqp.codec.decode import Decoder
from worker.amqp.codec.rates import SenderRates
from worker.service.messages import Incoming, MessageKey, Received, Refused

STREAM_ID = str(UUID(int=7))
EXPIRED = NOW - timedelta(seconds=RETENTION_S + 1)


def per_device(*, rates: SenderRates | None = None) -> Decoder:
    return decoder(per_device=True, operators=["boss"], rates=rates)


def a_rate(*, burst: int = 1) -> SenderRates:
    """One command each ten seconds, on a clock that stands still."""
    return SenderRates(per_second=0.1, burst=burst, clock_ns=lambda: 0)


def problem(incoming: Incoming) -> schemas.Problem:
    assert isinstance(incoming, Refused)
    return schemas.read_problem(incoming.answer.body)


def code(incoming: Incoming) -> str | None:
    return incoming.answer.problem if isinstance(incoming, Refused) else None


def test_where_it_is_open_nothing_is_asked() -> None:
    incoming = decoder()(delivery(headers={"CC": ["x"]}))

    assert isinstance(incoming, Received)
    assert incoming.only_for is None


def test_what_is_forbidden_is_said_so_and_not_to_be_tried_again() -> None:
    refused = problem(per_device()(delivery(user_id="cam-2")))

    assert (refused.code, refused.status, refused.retryable, refused.errors) == ("forbidden", 403, False, ())
    assert refused.detail == "This sender may not act for the device cam-1."
    assert refused.retry_after_s is None


def test_what_comes_too_fast_is_told_when_to_come_again() -> None:
    decode = decoder(rates=a_rate())
    decode(delivery())

    refused = problem(decode(delivery()))

    assert (refused.code, refused.status, refused.retryable) == ("too_many_requests", 429, True)
    assert refused.retry_after_s == 10.0


def test_what_is_too_old_is_expired_and_not_to_be_tried_again() -> None:
    refused = problem(decoder()(delivery(timestamp=EXPIRED)))

    assert (refused.code, refused.status, refused.retryable) == ("expired", 410, False)


def test_a_command_knows_for_which_device_it_may_look() -> None:
    by_id = {"body": f'{{"stream_id": "{STREAM_ID}"}}'.encode(), "message_type": "stream.get"}
    by_code = {"body": b'{"code": "7K3M9QXA"}', "message_type": "stream.get"}

    def only_for(user_id: str, sent: dict[str, Any]) -> str | None:
        received = per_device()(delivery(user_id=user_id, **sent))
        assert isinstance(received, Received)
        return received.only_for

    assert only_for("cam-1", by_id) == "cam-1"
    assert only_for("cam-1", by_code) is None
    assert only_for("boss", by_id) is None


# In the order in which they decide, from the last of the shape's on: of two faults the upper one is the answer.
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("malformed", {"body": b"["}),
    ("invalid", {"body": b'{"device_id": 1}'}),
    ("invalid", {"message_id": "m" * 129}),
    ("forbidden", {"user_id": "cam-2"}),
    ("too_many_requests", {"routing_key": "fast"}),
    ("expired", {"timestamp": EXPIRED}),
]


@pytest.mark.parametrize("upper", range(len(FAULTS)))
@pytest.mark.parametrize("lower", range(len(FAULTS)))
def test_the_first_fault_that_applies_decides(upper: int, lower: int) -> None:
    upper, lower = sorted((upper, lower))
    sent = {"user_id": "cam-1"} | FAULTS[lower][1] | FAULTS[upper][1]
    is_fast = "routing_key" in sent
    decode = per_device(rates=a_rate())
    if is_fast:
        for sender in ("cam-1", "cam-2"):
            decode(delivery(b'{"device_id": "%s"}' % sender.encode(), user_id=sender))

    assert code(decode(delivery(**sent))) == FAULTS[upper][0]


def test_a_sender_without_a_name_is_forbidden_before_its_detour_is_looked_at() -> None:
    assert "user_id" in problem(per_device()(delivery(headers={"CC": ["x"]}))).detail


@pytest.mark.parametrize("sent", [{"body": b"["}, {"message_id": "m" * 129}, {"user_id": "cam-2"}])
def test_what_is_refused_before_costs_nothing(sent: dict[str, Any]) -> None:
    decode = per_device(rates=a_rate())
    for _ in range(3):
        decode(delivery(**{"user_id": "cam-1"} | sent))

    assert code(decode(delivery(user_id="cam-1"))) is None
    assert code(decode(delivery(user_id="cam-1"))) == "too_many_requests"


def test_one_that_floods_does_not_slow_down_another() -> None:
    decode = decoder(rates=a_rate(burst=2))

    codes = {sender: [code(decode(delivery(user_id=sender))) for _ in range(4)] for sender in ("a", "b")}

    assert codes["a"] == codes["b"] == [None, None, "too_many_requests", "too_many_requests"]


def test_an_operator_is_charged_like_anybody() -> None:
    decode = per_device(rates=a_rate())

    assert [code(decode(delivery(user_id="boss"))) for _ in range(2)] == [None, "too_many_requests"]


def test_what_is_delivered_again_is_never_too_much() -> None:
    decode = decoder(rates=a_rate())
    decode(delivery())

    assert [code(decode(delivery(redelivered=True))) for _ in range(3)] == [None, None, None]
    assert code(decode(delivery())) == "too_many_requests"


def test_what_is_delivered_again_is_not_charged() -> None:
    decode = decoder(rates=a_rate())

    assert [code(decode(delivery(redelivered=redelivered))) for redelivered in (True, True, False)] == [None] * 3


@pytest.mark.parametrize(
    ("code_", "sent"),
    [
        ("forbidden", {"user_id": "cam-2"}),
        ("too_many_requests", {"user_id": "cam-1"}),
        ("expired", {"user_id": "boss", "timestamp": EXPIRED}),
    ],
)
@pytest.mark.parametrize("reply_to", [None, ASKER])
def test_a_refusal_that_nobody_asked_for_is_no_dead_letter(
    code_: str, sent: dict[str, Any], reply_to: str | None
) -> None:
    decode = per_device(rates=a_rate())
    decode(delivery(user_id="cam-1"))

    refused = decode(delivery(**{"reply_to": reply_to, "message_id": "m-1"} | sent))

    assert isinstance(refused, Refused)
    assert (refused.answer.problem, refused.keep) == (code_, False)
    assert refused.key == MessageKey(sender=sent["user_id"], message_id="m-1")


def test_the_same_message_id_of_another_sender_is_another_key() -> None:
    keys = set()
    for sender in ("cam-1", "boss"):
        received = per_device()(delivery(user_id=sender, message_id="m-1"))
        assert isinstance(received, Received)
        keys.add(received.key)

    assert keys == {MessageKey(sender="cam-1", message_id="m-1"), MessageKey(sender="boss", message_id="m-1")}


headers = st.none() | st.dictionaries(st.sampled_from(["CC", "BCC", "x"]), st.none() | st.text() | st.integers())
senders = st.none() | st.sampled_from(["", "cam-1", "cam-2", "boss"]) | st.text(max_size=20)


@given(
    sender=senders,
    headers=headers,
    timestamp=st.none() | st.datetimes(),
    name=st.sampled_from(["stream.create", "stream.stop", "stream.get"]),
    body=st.sampled_from(
        [b'{"device_id": "cam-1"}', b'{"code": "7K3M9QXA"}', b'{"stream_id": "%s"}' % STREAM_ID.encode()]
    ),
)
def test_nobody_but_the_device_and_operators_gets_in(
    sender: str | None, headers: dict[str, Any] | None, timestamp: Any, name: str, body: bytes
) -> None:
    incoming = per_device()(
        delivery(body, message_type=name, user_id=sender, headers=headers, timestamp=timestamp, reply_to=None)
    )

    assert isinstance(incoming, Received | Refused)
    if isinstance(incoming, Received):
        assert sender
        assert "CC" not in (headers or {})
        assert b"device_id" not in body or sender in {"cam-1", "boss"}
        assert incoming.only_for in {sender, None}
        assert incoming.only_for or sender == "boss" or (b"code" in body and name == "stream.get")
