"""The code of a stream."""

from hypothesis import given
from hypothesis import strategies as st

from worker.domain.code import ALPHABET, CODE_BITS, CODE_CHARS, code_from_bits, read_code


@given(st.integers(min_value=0, max_value=2**CODE_BITS - 1))
def test_every_number_of_forty_bits_spells_a_code_that_reads_back_as_itself(bits: int) -> None:
    code = code_from_bits(bits)

    assert len(code) == CODE_CHARS
    assert set(code) <= set(ALPHABET)
    assert read_code(code) == code


def test_different_numbers_spell_different_codes() -> None:
    assert len({code_from_bits(bits << shift) for bits in range(32) for shift in range(0, 40, 5)}) == 1 + 31 * 8


def test_a_code_is_read_in_any_case_with_hyphens_and_spaces_and_with_look_alikes() -> None:
    assert read_code("7k3m-9qxa") == "7K3M9QXA"
    assert read_code(" 7K3M 9QXA ") == "7K3M9QXA"
    assert read_code("oOiIlL00") == "00111100"


def test_what_is_not_a_code_is_none() -> None:
    for written in ("", "7K3M9QX", "7K3M9QXAA", "7K3M9QXU", "7K3M9QX\u017f", "\u0131" * 8, "7K3M9QX!"):
        assert read_code(written) is None, written
