import re
from string import ascii_letters, digits
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas import (
    CODE_CHARS,
    CODE_WRITTEN_CHARS_MAX,
    COMMANDS,
    Command,
    CommandName,
    CreateStream,
    FieldError,
    GetStream,
    StopStream,
    field_errors,
    is_device_id,
)
from schemas.limits import CODE_PATTERN, CODE_WRITTEN_PATTERN
from worker.domain.code import CODE_BITS, code_from_bits

STREAM_ID = "0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34"
SELECTING = [CommandName.STOP, CommandName.GET]
ONE_OF_THREE = FieldError(pointer="", detail="Exactly one of device_id, stream_id and code is required")


def read(name: str, body: object) -> Command:
    return COMMANDS[name].validate_python(body)


def refusal(name: str, body: object) -> tuple[FieldError, ...]:
    with pytest.raises(ValidationError) as raised:
        read(name, body)
    return field_errors(raised.value)


def test_every_command_has_a_reader() -> None:
    assert set(COMMANDS) == set(CommandName)


@pytest.mark.parametrize("name", CommandName)
def test_every_example_of_a_command_fits_it(name: CommandName) -> None:
    for body in COMMANDS[name].json_schema()["examples"]:
        read(name, body)


def test_a_create_names_its_device() -> None:
    assert read("stream.create", {"device_id": "cam-1"}) == CreateStream(device_id="cam-1")


@pytest.mark.parametrize(("name", "kind"), [("stream.stop", StopStream), ("stream.get", GetStream)])
def test_a_stream_is_named_by_device_id_or_code(name: str, kind: type[StopStream | GetStream]) -> None:
    assert read(name, {"device_id": "cam-1"}) == kind(device_id="cam-1")
    assert read(name, {"stream_id": STREAM_ID}) == kind(stream_id=UUID(STREAM_ID))
    assert read(name, {"stream_id": STREAM_ID.upper()}) == kind(stream_id=UUID(STREAM_ID))
    assert read(name, {"code": "7k3m-9qxa"}) == kind(code="7K3M9QXA")


def test_what_was_read_has_the_right_types_and_is_frozen() -> None:
    command = read("stream.stop", {"stream_id": STREAM_ID})

    assert isinstance(command, StopStream)
    assert isinstance(command.stream_id, UUID)
    assert command.device_id is None
    with pytest.raises(ValidationError, match="frozen"):
        command.code = "7K3M9QXA"  # type: ignore[misc]


@pytest.mark.parametrize("name", CommandName)
def test_unknown_members_are_ignored(name: CommandName) -> None:
    assert read(name, {"device_id": "cam-1", "colour": None, "": [1]}) == read(name, {"device_id": "cam-1"})


@pytest.mark.parametrize("name", SELECTING)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"colour": "red"},
        {"device_id": "cam-1", "code": "7K3M9QXA"},
        {"device_id": "cam-1", "stream_id": None},
        {"device_id": 7, "code": 8, "stream_id": 9},
    ],
)
def test_no_selector_and_more_than_one_are_refused_as_a_whole(name: str, body: object) -> None:
    assert refusal(name, body) == (ONE_OF_THREE,)


@pytest.mark.parametrize("name", SELECTING)
@pytest.mark.parametrize("member", ["device_id", "stream_id", "code"])
@pytest.mark.parametrize("wrong", [None, 7, 7.5, True, [], {}, "", "ü", "x" * 1000, "a\nb", b"7K3M9QXA"])
def test_a_wrong_selector_is_refused_by_its_pointer(name: str, member: str, wrong: object) -> None:
    assert [error.pointer for error in refusal(name, {member: wrong})] == [f"/{member}"]


@pytest.mark.parametrize("wrong", [None, 7, True, []])
def test_a_device_id_is_text(wrong: object) -> None:
    assert [error.pointer for error in refusal("stream.create", {"device_id": wrong})] == ["/device_id"]


@pytest.mark.parametrize("wrong", ["", "-cam", "cam 1", "cam/1", "cam-1\n", "ü", "x" * 129])
@pytest.mark.parametrize("name", CommandName)
def test_a_wrong_device_id_is_answered_with_what_one_looks_like(name: CommandName, wrong: str) -> None:
    detail = (
        "Input should be a device id: 1 to 128 of the characters A-Z a-z 0-9 . _ : -, the first a letter or digit"
    )
    assert refusal(name, {"device_id": wrong}) == (FieldError(pointer="/device_id", detail=detail),)


@pytest.mark.parametrize("name", CommandName)
@given(device_id=st.from_regex(r"[A-Za-z0-9._:-]{0,130}") | st.text(max_size=130))
def test_the_published_limits_of_a_device_id_are_the_rule(name: CommandName, device_id: str) -> None:
    published = COMMANDS[name].json_schema()["properties"]["device_id"]
    allowed = re.search(published["pattern"][:-1] + r"\Z", device_id) is not None

    assert published["maxLength"] == 128
    assert is_device_id(device_id) == allowed
    if allowed:
        assert read(name, {"device_id": device_id}).device_id == device_id
    else:
        assert [error.pointer for error in refusal(name, {"device_id": device_id})] == ["/device_id"]


@pytest.mark.parametrize("right", ["c", "7", "site.7:cam_1-a", "x" * 128, "..".join("ab")])
def test_a_device_id_may_hold_what_the_contract_allows(right: str) -> None:
    assert read("stream.create", {"device_id": right}) == CreateStream(device_id=right)


@pytest.mark.parametrize(
    "wrong", [STREAM_ID.replace("-", ""), f"{{{STREAM_ID}}}", f"urn:uuid:{STREAM_ID}", f"{STREAM_ID}\n", "٣" * 36]
)
def test_a_stream_id_has_one_written_form(wrong: str) -> None:
    assert [error.pointer for error in refusal("stream.get", {"stream_id": wrong})] == ["/stream_id"]


def test_a_missing_member_is_named() -> None:
    assert refusal("stream.create", {}) == (FieldError(pointer="/device_id", detail="Field required"),)


def test_pointers_are_escaped_as_rfc_6901_has_it() -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(dict[str, list[int]]).validate_python({"a/b~c": [1, "x"]})

    assert [error.pointer for error in field_errors(raised.value)] == ["/a~1b~0c/1"]


@given(
    st.sampled_from(list(CommandName)),
    st.sampled_from(["device_id", "stream_id", "code"]),
    st.text("ZQ#é", min_size=5),
)
def test_a_refusal_never_quotes_what_was_sent(name: str, member: str, sent: str) -> None:
    body = {member: f"~{sent}"}
    with pytest.raises(ValidationError) as raised:
        read(name, body)

    assert sent not in "".join(error.detail for error in field_errors(raised.value))
    assert sent not in str(raised.value)


def meant(written: str) -> str | None:
    """Read a code by the book (https://www.crockford.com/base32.html); None where it is not one."""
    signs = [sign for sign in written if sign not in "- "]
    if len(signs) != CODE_CHARS or any(sign not in ascii_letters + digits for sign in signs):
        return None
    code = "".join({"I": "1", "L": "1", "O": "0"}.get(sign.upper(), sign.upper()) for sign in signs)
    return None if "U" in code else code


written_codes = st.text("0189AZILOUilouaz- ", max_size=20) | st.text(max_size=20)


@given(written_codes)
@example("ilo0-1 OIL")
@example("7K3M9QXU")
@example("\N{LATIN SMALL LETTER LONG S}" * 8)
@example("1234567\n8")
def test_a_code_is_read_in_any_case_with_hyphens_and_spaces_and_look_alikes(written: str) -> None:
    expected = meant(written)
    if expected is None:
        assert [error.pointer for error in refusal("stream.get", {"code": written})] == ["/code"]
    else:
        assert read("stream.get", {"code": written}) == GetStream(code=expected)


@given(written_codes)
def test_the_published_pattern_of_a_code_is_the_rule(written: str) -> None:
    pattern = COMMANDS["stream.get"].json_schema()["properties"]["code"]["pattern"]

    assert pattern == CODE_WRITTEN_PATTERN
    assert bool(re.search(pattern[:-1] + r"\Z", written)) == (meant(written) is not None)


@pytest.mark.parametrize(
    ("written", "code"),
    [("7k3m-9qxa", "7K3M9QXA"), (" 7K3M 9QXA ", "7K3M9QXA"), ("oOiIlL00", "00111100"), ("-7K3M9QXA", "7K3M9QXA")],
)
def test_a_code_is_forgiven_how_it_was_written(written: str, code: str) -> None:
    assert read("stream.get", {"code": written}) == GetStream(code=code)


@pytest.mark.parametrize(
    "written", ["", "7K3M9QX", "7K3M9QXAA", "7K3M9QXU", "7K3M9QX\u017f", "\u0131" * 8, "7K3M9QX!"]
)
def test_what_is_not_a_code_is_refused(written: str) -> None:
    assert [error.pointer for error in refusal("stream.get", {"code": written})] == ["/code"]


@given(st.integers(min_value=0, max_value=2**CODE_BITS - 1))
def test_a_code_that_the_worker_spells_is_read_as_itself(bits: int) -> None:
    code = code_from_bits(bits)

    assert re.search(CODE_PATTERN, code)
    assert read("stream.get", {"code": code}) == GetStream(code=code)


def test_a_code_is_not_read_out_of_a_novel() -> None:
    longest = "7K3M9QXA".ljust(CODE_WRITTEN_CHARS_MAX, "-")

    assert read("stream.get", {"code": longest}) == GetStream(code="7K3M9QXA")
    assert [error.pointer for error in refusal("stream.get", {"code": longest + "-"})] == ["/code"]


@pytest.mark.parametrize("name", SELECTING)
def test_the_published_schema_says_exactly_one_and_never_null(name: CommandName) -> None:
    schema = COMMANDS[name].json_schema()

    assert [one["required"] for one in schema["oneOf"]] == [["device_id"], ["stream_id"], ["code"]]
    assert {member["type"] for member in schema["properties"].values()} == {"string"}
    assert not any("default" in member or "anyOf" in member for member in schema["properties"].values())
