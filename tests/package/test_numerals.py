"""文の中での、数の書き方。"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgbook.book.numerals import SUPERSCRIPT, power

PLAIN = str.maketrans({sup: chr(digit) for digit, sup in SUPERSCRIPT.items()})


@given(st.floats(allow_nan=False, allow_infinity=False).filter(bool), st.integers(0, 6))
def test_what_is_written_is_the_number_to_the_digits_asked(value: float, digits: int):
    mantissa, _, exponent = power(value, digits).partition(" × 10")
    assert len(mantissa.lstrip("−").replace(".", "")) == digits + 1
    assert float(f"{mantissa.replace('−', '-')}e{exponent.translate(PLAIN)}") == float(
        f"{value:.{digits}e}"
    )


@pytest.mark.parametrize("value", [0.0, -0.0, np.inf, np.nan])
def test_numbers_without_an_exponent_are_written_as_they_are(value: float):
    assert power(value) == f"{value:g}"
