"""The code of a stream. How one is read again: `tests/contract/test_schemas_commands.py`."""

from hypothesis import given
from hypothesis import strategies as st

from worker.domain.code import ALPHABET, CODE_BITS, CODE_CHARS, code_from_bits


@given(st.integers(min_value=0, max_value=2**CODE_BITS - 1))
def test_every_number_of_forty_bits_spells_a_code_that_counts_back_to_it(bits: int) -> None:
    code = code_from_bits(bits)

    assert len(code) == CODE_CHARS
    assert sum(ALPHABET.index(sign) * 32**place for place, sign in enumerate(reversed(code))) == bits


def test_different_numbers_spell_different_codes() -> None:
    assert len({code_from_bits(bits << shift) for bits in range(32) for shift in range(0, 40, 5)}) == 1 + 31 * 8


def test_the_alphabet_is_crockfords() -> None:
    assert ALPHABET == "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
