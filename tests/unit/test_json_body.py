"""JSON is read strictly, and what is wrong with it is said without quoting it."""

import math
import re
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.amqp.codec.json_body import _LARGE, Malformed, read_object

DEPTH = 3_000

REFUSED = {
    "nothing at all": b"",
    "only blanks": b" \n\t ",
    "plain text": b"hello",
    "an array": b'[{"device_id": "cam-1"}]',
    "a string": b'"device_id"',
    "a number": b"17",
    "null": b"null",
    "two objects": b"{} {}",
    "a trailing comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "a comment": b"/* a */ {}",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "minus Infinity": b'{"a": -Infinity}',
    "a number beyond every double": b'{"a": 1e400}',
    "one below every double": b'{"a": [-1e400]}',
    "a huge exponent": b'{"a": {"b": 1E+99999999999}}',
    "a double with 400 digits": b'{"a": ' + b"9" * 400 + b".5}",
    "an integer of 5,000 digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "a lone high surrogate": b'{"a": "\\ud800"}',
    "a lone low surrogate": b'{"a": "\\udc00"}',
    "two high surrogates": b'{"a": "\\ud800\\ud800"}',
    "an encoded surrogate": b'{"a": "\xed\xa0\x80"}',
    "bytes that are no UTF-8": b'{"a": "\xff"}',
    "an overlong encoding": b'{"a": "\xc0\x80"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a": 1}'.encode("utf-16-le"),
    "an escaped NUL": b'{"a": "\\u0000"}',
    "an escaped NUL in a name": b'{"\\u0000": 1}',
    "an escaped NUL far inside": b'{"a": [[{"b": ["c", "x\\u0000y"]}]]}',
    "an escaped NUL behind a backslash": b'{"a": "\\\\\\u0000"}',
    "an escaped NUL that a later member replaces": b'{"a": "\\u0000", "a": 1}',
    "an escaped NUL behind two backslashes and a text of it": b'{"a": "\\\\u0000", "b": "\\u0000"}',
    "a raw NUL": b'{"a": "\x00"}',
    "a raw control character": b'{"a": "\x01"}',
    "arrays nested 3,000 deep": b'{"a": ' + b"[" * DEPTH + b"]" * DEPTH + b"}",
    "objects nested 3,000 deep": b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
    "an unended string": b'{"a": "b',
}

READ: dict[str, tuple[bytes, Any]] = {
    "an empty object": (b"{}", {}),
    "blanks around it": (b' \r\n\t{"a" : 1} \n', {"a": 1}),
    "a pair of surrogates": (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
    "the text backslash u0000": (b'{"a": "\\\\u0000"}', {"a": "\\u0000"}),
    "two backslashes before it": (b'{"a": "\\\\\\\\u0000"}', {"a": "\\\\u0000"}),
    "the largest double": (b'{"a": 1.7976931348623157e308}', {"a": 1.7976931348623157e308}),
    "a number too small to tell from zero": (b'{"a": 1e-400}', {"a": 0.0}),
    "the text of an infinity": (b'{"a": "Infinity 1e400"}', {"a": "Infinity 1e400"}),
    "an integer of 308 digits": (b'{"a": ' + b"9" * 308 + b"}", {"a": int("9" * 308)}),
    "an integer of 400 digits": (b'{"a": ' + b"9" * 400 + b"}", {"a": int("9" * 400)}),
    "duplicates, of which the last counts": (b'{"a": 1, "a": 2}', {"a": 2}),
    "text in UTF-8": ('{"a": "é\U0001f600"}'.encode(), {"a": "é\U0001f600"}),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_this_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_object(body)


@pytest.mark.parametrize(("body", "read"), READ.values(), ids=READ.keys())
def test_this_is_read(body: bytes, read: dict[str, Any]) -> None:
    assert read_object(body) == read


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_wrong_is_one_short_sentence(body: bytes) -> None:
    with pytest.raises(Malformed) as malformed:
        read_object(body)

    assert re.fullmatch(r"The body [^\n]{1,160}\.", str(malformed.value))


@pytest.mark.parametrize(
    "body",
    [b's3cr3t {"a": 1}', b'{"a": s3cr3t}', b'{"a": "\\s3cr3t"}', b'{"a": 1} s3cr3t', b'"s3cr3t"', b"{s3cr3t: 1}"],
)
def test_what_was_sent_is_not_quoted(body: bytes) -> None:
    with pytest.raises(Malformed) as malformed:
        read_object(body)

    assert "s3cr3t" not in str(malformed.value)


digits = st.integers(1, 320).flatmap(lambda count: st.text("0123456789", min_size=count, max_size=count))
whole = digits.map(lambda text: text.lstrip("0") or "0")
fractions = st.just("") | digits.map(".".__add__)
# Of two or three digits as often as not, with zeros before them: there the largest numbers are.
exponents = st.builds(
    "{}{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.text("0", max_size=3), whole
) | st.builds("e{}".format, st.integers(0, 330))
# Without either it is an integer, which has no end.
numbers = st.builds("{}{}{}{}".format, st.sampled_from(["", "-"]), whole, fractions, exponents) | st.builds(
    "{}{}{}".format, st.sampled_from(["", "-"]), whole, digits.map(".".__add__)
)
places = st.sampled_from(
    ['{"a":%s}', '{"a": %s\n}', '{"a":%s,"b":1}', '{"a": [%s]}', '{"a": [%s\r, 1]}', '{"b": {"a":%s\t}}']
)


@given(numbers, places)
@example("1e309", '{"a":%s}')
@example("-17.9e307", '{"a":%s}')
@example("9" * 210 + "e99", '{"a":%s}')
@example("0." + "0" * 99 + "1e409", '{"a":%s}')
def test_no_infinity_gets_through_and_every_other_number_does(number: str, place: str) -> None:
    body = (place % number).encode()

    if math.isinf(float(number)):
        with pytest.raises(Malformed):
            read_object(body)
    else:
        assert isinstance(read_object(body), dict)


@given(st.uuids().map(str) | st.uuids().map(lambda id_: id_.hex))
@example(str(UUID("12345e10-7d9c-7c3e-9f0a-5a2f0c6d1e34")))
@example("1e400")
def test_a_name_that_looks_like_a_number_costs_no_second_walk(name: str) -> None:
    assert not _LARGE.search(b'{"stream_id": "%s"}' % name.encode())
