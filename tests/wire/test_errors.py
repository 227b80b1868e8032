import pytest

from ftspec.wire.errors import (
    DATA_CODES,
    HUMAN_CODES,
    MISSING_CODES,
    PARK_CODES,
    TRANSIENT_CODES,
    BadAnswer,
    ErrorClass,
    ExceptionKind,
    classify,
    error_body,
    read_error,
)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (HUMAN_CODES, ErrorClass.HUMAN),
        (PARK_CODES, ErrorClass.PARK),
        (DATA_CODES, ErrorClass.DATA),
        (MISSING_CODES, ErrorClass.MISSING),
        (TRANSIENT_CODES, ErrorClass.TRANSIENT),
    ],
)
def test_the_code_decides_whatever_the_status(codes, expected):
    for code in codes:
        for status in (200, 400, 404, 409, 429, 500, None):
            assert classify(status, code) is expected


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (401, "", "human"),
        (402, "", "human"),
        (403, "", "human"),
        (400, "", "data"),
        (413, "", "data"),
        (422, "", "data"),
        (404, "", "missing"),
        (400, "file 'file-abc' does not exist", "missing"),
        (400, "file file-abc is not ready", "transient"),
        (408, "", "transient"),
        (409, "", "transient"),
        (429, "Rate limit reached for requests", "transient"),
        (429, "You have reached the maximum of 12 requests per day", "park"),
        (500, "", "transient"),
        (503, "", "transient"),
        (502, "<html>", "transient"),
    ],
)
def test_the_status_decides_without_a_known_code(status, message, expected):
    assert classify(status, None, "status", message).value == expected
    assert classify(status, "a_code_nobody_knows", "status", message).value == expected


def test_the_exception_decides_last():
    for kind in (ExceptionKind.TIMEOUT, ExceptionKind.CONNECTION, ExceptionKind.BAD_ANSWER, "timeout"):
        assert classify(kind=kind) is ErrorClass.TRANSIENT
    assert classify(200, None, "bad_answer") is ErrorClass.TRANSIENT
    with pytest.raises(ValueError, match="nothing to classify"):
        classify()
    with pytest.raises(ValueError, match="nothing to classify"):
        classify(kind="bug")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (error_body("m", code="c", param="p"), ("c", "m", "p")),
        ({"message": "m", "code": 42}, ("42", "m", None)),
        ({"detail": "gone"}, (None, "gone", None)),
        ({"error": "flat"}, (None, "flat", None)),
        ("<html>", (None, "<html>", None)),
        (None, (None, "", None)),
        ({}, (None, "", None)),
    ],
)
def test_error_bodies_of_all_shapes(body, expected):
    assert read_error(body) == expected


def test_a_bad_answer_parks_the_command():
    assert BadAnswer("bad_answer", "html").exit_code == 75
