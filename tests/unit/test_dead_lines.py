"""Dead letters as text: whatever a stranger wrote, a row is a row."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.deliveries import delivery
from worker.amqp.letter import Letter, read_letter
from worker.amqp.topology import topology
from worker.cli import dead_lines

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
HOSTILE = "\x1b[2J\r\nforged: line\u202e\u2028"


def letter(body: bytes = b"no JSON", *, detail: str = "no JSON", key: str = "cam-1", **properties: Any) -> Letter:
    headers = {
        "x-streams-reason": "malformed",
        "x-streams-detail": detail,
        "x-streams-routing-key": key,
        "x-streams-failed-at": (NOW - timedelta(minutes=5)).isoformat(),
    }
    headers |= properties.pop("headers", {})
    came = delivery(body, exchange="streams.dead", headers=headers, **properties)
    return read_letter(came, number=12, names=topology("streams"))


def test_a_row_has_what_one_looks_for() -> None:
    row = dead_lines.row(letter(message_id="m-1"), NOW)

    assert row.split() == ["12", "5m", "malformed", "stream.create", "m-1", "cam-1", "7", "no", "JSON"]


def test_what_is_not_known_is_a_dash() -> None:
    bare = delivery(exchange="streams.dead", routing_key="", message_type=None)
    row = dead_lines.row(read_letter(bare, number=1, names=topology("streams")), NOW)

    assert row.split()[:6] == ["1", "?", "unknown", "-", "-", "-"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (-5, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (3_599, "59m"), (7_200, "2h"), (90_000, "1d")],
)
def test_an_age_is_told_in_its_largest_unit(seconds: float | None, text: str) -> None:
    assert dead_lines.age(seconds) == text


def test_no_stranger_forges_a_row() -> None:
    hostile = letter(detail=HOSTILE, key=HOSTILE, message_id=HOSTILE, message_type=HOSTILE)

    assert dead_lines.row(hostile, NOW).isprintable()


def test_no_stranger_forges_a_page() -> None:
    hostile = letter(
        HOSTILE.encode(), message_id=HOSTILE, reply_to=HOSTILE, headers={HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]}
    )

    page = dead_lines.page(hostile, NOW, full=True)

    assert all(line.isprintable() for line in page.split("\n"))
    assert page.count("\nforged") == 1, "only the body has lines of its own, after its heading"


def test_a_body_that_is_text_is_shown_as_text_and_any_other_in_hex() -> None:
    assert dead_lines.page(letter("{\n  ü}".encode()), NOW, full=False).endswith("body (7 bytes)\n{\n  ü}")
    assert dead_lines.page(letter(b"\xff\x00\x01"), NOW, full=False).endswith("body (3 bytes, in hex)\nff 0001")


@pytest.mark.parametrize("body", ["ü".encode() * 5_000, b"\xff" * 5_000])
def test_a_long_body_is_cut_and_says_so(body: bytes) -> None:
    cut, whole = (dead_lines.everything(letter(body), NOW, full=full) for full in (False, True))

    assert (cut["body_is_cut"], whole["body_is_cut"]) == (True, False)
    assert "--full shows all" in dead_lines.page(letter(body), NOW, full=False)
    if whole["body"] is None:
        assert (bytes.fromhex(whole["body_hex"]), len(bytes.fromhex(cut["body_hex"]))) == (body, 4_096)
    else:
        assert (whole["body"].encode(), len(cut["body"].encode())) == (body, 4_096)


def test_a_character_that_is_cut_in_two_is_left_out() -> None:
    assert dead_lines.everything(letter(b"x" + "ü".encode() * 4_096), NOW, full=False)["body"].endswith("ü")


def test_every_header_has_a_place_in_json() -> None:
    deep: Any = "bottom"
    for _ in range(400):
        deep = [deep]
    headers = {
        "when": NOW,
        "bytes": b"caf\xe9",
        "array": bytearray(b"\x00\xff"),
        "exact": Decimal("1.5"),
        "nan": float("nan"),
        "table": {"list": [1, None, True]},
        "deep": deep,
    }

    whole = json.loads(json.dumps(dead_lines.everything(letter(headers=headers), NOW, full=True), allow_nan=False))

    assert whole["headers"]["table"] == {"list": [1, None, True]}
    assert (whole["headers"]["bytes"], whole["headers"]["exact"], whole["headers"]["nan"]) == (
        "caf\\xe9",
        "1.5",
        "nan",
    )
    assert whole["headers"]["when"].startswith("2026-01-12")
    assert "…" in str(whole["headers"]["deep"])
