"""Errors leave as OpenAI error bodies, whatever raised them."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from ftspec.spec.errors import FtspecError, StorageError
from ftspec.wire.errors import error_body
from ftspec.wire.requests import InvalidRequest


class ApiError(Exception):
    """An answer with an error status. `retry` False adds `x-should-retry: false`, which the SDK obeys."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None, retry: bool = True
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.retry = status, message, code, param, retry

    def response(self) -> JSONResponse:
        """The answer itself."""
        return _answer(self.status, self.message, self.code, self.param, retry=self.retry)


def not_found(kind: str, identifier: str, *, param: str = "id") -> ApiError:
    """A 404 for an object that is not there."""
    return ApiError(404, f"No such {kind}: {identifier}", code="not_found", param=param)


def invalid(message: str, param: str | None, *, code: str = "invalid_value") -> ApiError:
    """A 400 that names the parameter."""
    return ApiError(400, message, code=code, param=param)


def install(app: Starlette) -> None:
    """Register the handlers; without them Starlette answers 404, 405 and 500 in plain text."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(InvalidRequest, _invalid_request)
    app.add_exception_handler(FtspecError, _ftspec_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _bug)


def _answer(status: int, message: str, code: str | None, param: str | None, *, retry: bool = True) -> JSONResponse:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    headers = None if retry else {"x-should-retry": "false"}
    return JSONResponse(error_body(message, code=code, param=param, type=kind), status, headers=headers)


def _api_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return error.response()


def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    """All problems in the message, the first one's code and place in the fields."""
    assert isinstance(error, InvalidRequest)
    message = " ".join(problem.message for problem in error.problems)
    return _answer(400, message, error.code, error.param)


def _ftspec_error(request: Request, error: Exception) -> JSONResponse:
    """Our own errors keep their code; what the disk refused is a server error."""
    assert isinstance(error, FtspecError)
    status = 507 if isinstance(error, StorageError) else 500
    return _answer(status, str(error), error.code, None)


def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _answer(404, f"Invalid URL ({request.method} {request.url.path})", "unknown_url", None)
    if error.status_code == 405:
        return _answer(405, f"{request.method} is not allowed on {request.url.path}", "method_not_allowed", None)
    return _answer(error.status_code, error.detail, "invalid_request", None)


def _bug(request: Request, error: Exception) -> JSONResponse:
    """A bug of ours: its kind only, since its text may hold anything."""
    return _answer(500, f"The server failed with {type(error).__name__}.", "internal_error", None)
