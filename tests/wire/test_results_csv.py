import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.spec.errors import DataError
from ftspec.wire.results_csv import BOM, ResultRow, format_results, parse_results

OPENAI = b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,2.5,0.25,,\n2,6e-05,1.0,0.5,0.75\n"
ROWS = [ResultRow(1, 2.5, 0.25), ResultRow(2, 6e-05, 1.0, 0.5, 0.75)]


@pytest.mark.parametrize(
    "raw",
    [
        OPENAI,
        BOM + OPENAI,
        base64.b64encode(OPENAI),
        base64.encodebytes(OPENAI),
        BOM + base64.b64encode(OPENAI),
        base64.b64encode(BOM + OPENAI),
        OPENAI.replace(b"\n", b"\r\n"),
        OPENAI.rstrip(b"\n"),
        OPENAI + b"\n\n",
    ],
)
def test_plain_base64_bom_and_line_ends(raw):
    assert parse_results(raw) == ROWS


def test_azure_names_and_its_empty_value():
    raw = (
        b"step,train_loss,train_mean_token_accuracy,valid_loss,validation_mean_token_accuracy,"
        b"full_valid_loss,full_valid_mean_token_accuracy,extra\n1,2.5,0.25,-1,-1,,,x\n2,1,0.5,0.5,0.75,0.4,0.8,y\n"
    )
    with pytest.raises(DataError):
        parse_results(raw.replace(b"2.5", b"two"))
    rows = parse_results(raw)
    assert rows == [ResultRow(1, 2.5, 0.25), ResultRow(2, 1.0, 0.5, 0.5, 0.75, 0.4, 0.8)]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>502</html>",
        b"loss,step\n1,2\n",
        b"PK\x03\x04\x00",
        base64.b64encode(b"no csv"),
        b"step,step\n1,2\n",
        b"step,train_loss\n1\n",
        b"step,train_loss\nx,1\n",
        b"step,train_loss\n1.5,1\n",
        b"step,train_loss\n,1\n",
        b"step,train_loss\ninf,1\n",
        b'step,train_loss\n1,"2\n',
        b"step,train_loss\n1,\xff\n",
    ],
)
def test_garbage_is_an_error_that_shows_the_bytes(raw):
    with pytest.raises(DataError) as caught:
        parse_results(raw)
    assert caught.value.code == "results_csv"
    assert repr(raw[:40]) in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_give_rows_or_a_coded_error(raw):
    with suppress(DataError):
        parse_results(raw)


Number = st.none() | st.floats(0, 1e6)


@given(st.lists(st.tuples(Number, Number, Number, Number), max_size=20), st.booleans())
def test_what_is_written_is_read_back_to_five_decimals(values, encode):
    names = ("train_loss", "train_mean_token_accuracy", "valid_loss", "valid_mean_token_accuracy")
    raw = format_results({"step": i, **dict(zip(names, row, strict=True))} for i, row in enumerate(values)).encode()
    rows = parse_results(base64.b64encode(raw) if encode else raw)
    assert [row.step for row in rows] == list(range(len(values)))
    for row, given_values in zip(rows, values, strict=True):
        found = (row.train_loss, row.train_accuracy, row.valid_loss, row.valid_accuracy)
        for number, wanted in zip(found, given_values, strict=True):
            assert (number is None) == (wanted is None)
            assert wanted is None or number == pytest.approx(wanted, abs=5.1e-6, rel=1e-12)
