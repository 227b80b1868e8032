import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.wire.auto import auto_epochs

VECTORS = {1: 25, 3: 25, 4: 25, 5: 20, 10: 10, 20: 5, 25: 4, 33: 3, 34: 3, 103: 3}
VECTORS |= {8333: 3, 8334: 2, 12500: 2, 12501: 1, 25001: 1}


@pytest.mark.parametrize(("n", "epochs"), VECTORS.items())
def test_vectors(n, epochs):
    assert auto_epochs(n) == epochs


@pytest.mark.parametrize("n", [0, -1])
def test_no_rows_is_an_error(n):
    with pytest.raises(ValueError, match="at least one row"):
        auto_epochs(n)


@given(st.integers(1, 10**9))
def test_within_the_limits_of_the_api_and_never_rising(n):
    assert 1 <= auto_epochs(n) <= 25
    assert auto_epochs(n + 1) <= auto_epochs(n)
