"""What a client sends, read within bounds of size and time: JSON, forms with a file, files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from serve_app.errors import PeerError

MAX_JSON_BYTES = 1024 * 1024
JSON_S = 30.0
_MAX_FIELDS = 32

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """How big an upload may be, and how long it may take."""

    max_bytes: int
    max_s: float


@dataclass(frozen=True, slots=True)
class Upload:
    """A file, and what was said with it; values of a name that ends in `[]` are lists."""

    data: bytes
    fields: Mapping[str, object]


def is_form(request: Request) -> bool:
    """Whether it is a form with files."""
    return _content_type(request) == "multipart/form-data"


async def read_form(request: Request, file: str, limits: UploadLimits) -> Upload:
    """A form and the file in its field `file`. Raises PeerError."""
    if not is_form(request):
        raise PeerError("invalid_content_type", "send multipart/form-data", status=415)
    try:
        async with (
            asyncio.timeout(limits.max_s),
            aclosing(_bounded(request, limits.max_bytes)) as chunks,
        ):
            parser = MultiPartParser(request.headers, chunks, max_files=1, max_fields=_MAX_FIELDS)
            parser.spool_max_size = limits.max_bytes + 1  # Never to disk: nothing is checked yet.
            form = await parser.parse()
    except TimeoutError:
        raise _too_slow(limits) from None
    except ClientDisconnect:
        raise _gone() from None
    except (MultiPartException, FormParserError, UnicodeDecodeError) as error:
        raise PeerError("invalid_form", "the form cannot be read") from error
    try:
        sent = form.get(file)
        if not isinstance(sent, UploadFile):
            raise PeerError("missing_field", f"{file}: a recording, as a file", param=file)
        return Upload(await sent.read(), _texts(form))
    finally:
        await form.close()


async def read_body(request: Request, limits: UploadLimits) -> bytes:
    """The body. Raises PeerError where it is too big, too slow or not whole."""
    body = bytearray()
    try:
        async with (
            asyncio.timeout(limits.max_s),
            aclosing(_bounded(request, limits.max_bytes)) as chunks,
        ):
            async for chunk in chunks:
                body += chunk
    except TimeoutError:
        raise _too_slow(limits) from None
    except ClientDisconnect:
        raise _gone() from None
    return bytes(body)


async def read_json(request: Request, model: type[M]) -> M:
    """A JSON body, checked. Raises PeerError."""
    if _content_type(request) not in ("application/json", ""):
        raise PeerError("invalid_content_type", "send application/json", status=415)
    body = await read_body(request, UploadLimits(MAX_JSON_BYTES, JSON_S))
    try:
        # orjson refuses what the standard library lets pass: NaN, halves of surrogate pairs.
        fields: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PeerError("invalid_json", f"the body is not JSON: {error}") from error
    return checked(model, fields)


def checked(model: type[M], fields: object) -> M:
    """The fields of a request as what they must be. Raises PeerError, which names the field."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        param = ".".join(map(str, first["loc"])) or None
        code = "missing_field" if first["type"] == "missing" else "invalid_value"
        text = f"{param}: {first['msg']}" if param else first["msg"]
        raise PeerError(code, text, param=param) from error


def _texts(form: FormData) -> dict[str, object]:
    """The fields that are no files. One that is empty was left out."""
    fields: dict[str, object] = {}
    for name in form:
        texts = [value for value in form.getlist(name) if isinstance(value, str) and value]
        if texts:
            fields[name] = texts if name.endswith("[]") else texts[-1]
    return fields


async def _bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    size = 0
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(max_bytes)
            yield chunk


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _too_large(max_bytes: int) -> PeerError:
    text = f"a request is at most {max_bytes // 1024**2} MB"
    return PeerError("upload_too_large", text, status=413)


def _too_slow(limits: UploadLimits) -> PeerError:
    text = f"the upload took longer than {limits.max_s:g} s"
    return PeerError("upload_timeout", text, status=408)


def _gone() -> PeerError:
    return PeerError("upload_cancelled", "the client went away")
