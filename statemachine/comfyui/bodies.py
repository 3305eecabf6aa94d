"""Read the body of an answer within the bound of its route, without holding up the event loop."""

import zlib
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import Protocol

import aiohttp
import orjson

from statemachine.comfyui.body_encodings import Unpacker, as_utf8, in_pieces
from statemachine.comfyui.bounds import SMALL, Bound, shown_size
from statemachine.comfyui.errors import NotUnderstoodError, TooLargeError
from statemachine.comfyui.large_answers import LargeAnswers, TooSlowError
from statemachine.comfyui.splitting import Splitter, TooManyItemsError
from statemachine.core.messages import message
from statemachine.settings.masking import Mask

OK = 200
QUOTED_FROM = 8 * 1024
"""Bytes of an answer of which an error quotes 2,000 characters."""


EXAMINED_END = 4 * 1024
"""Bytes before a cut that are searched for the beginning of a secret."""


class BodyReader:
    """Reads the body of one answer to `route`, such as `GET /queue`.

    `mask` removes secrets from the text that an error quotes.
    """

    def __init__(self, route: str, bound: Bound, mask: Mask) -> None:
        self._route = route
        self._bound = bound
        self._mask = mask
        self._beginning = bytearray()
        self._size = 0
        self._status = OK
        self.waits = False
        """Whether it waits for the place of a large answer."""
        self.is_cut = False
        """Whether only the beginning of the body was read."""

    async def read(self, response: aiohttp.ClientResponse, large: LargeAnswers) -> bytes:
        """Return the body, in UTF-8 if it declares a charset; only what is needed of one that consists of entries.

        Of an answer with an unexpected status, only the beginning is returned. Raises NotUnderstoodError.
        """
        self._status = response.status
        try:
            return await self._read(response, large)
        except TooManyItemsError as error:
            raise TooLargeError(message("answer_too_long", route=self._route), self._status, self._text) from error
        except TooSlowError as error:
            raise TooLargeError(message("answer_too_slow", route=self._route), self._status, self._text) from error
        except orjson.JSONDecodeError as error:
            raise NotUnderstoodError(message("not_json", error=error.msg), self._status, self._text) from error
        except zlib.error as error:
            raise NotUnderstoodError(message("wrong_encoding")) from error

    async def _read(self, response: aiohttp.ClientResponse, large: LargeAnswers) -> bytes:
        unpacker = Unpacker(response.headers.get("Content-Encoding", ""))
        content_type = response.headers.get("Content-Type", "")
        async for chunk in response.content.iter_any():
            pieces = unpacker.pieces(chunk)
            if self._read_beginning(pieces) < SMALL:
                self._limit(unpacker.received)
                continue
            if self._is_unexpected:
                self.is_cut = True
                break
            self._limit(response.content_length or 0)
            self.waits = True
            async with large.place() as place:
                self.waits = False
                body = await self._read_large(place.chunks(response.content), unpacker, pieces, large)
                return as_utf8(body, content_type)
        else:
            unpacker.finish()
        return as_utf8(bytes(self._beginning), content_type)

    def _read_beginning(self, pieces: Iterator[bytes]) -> int:
        """Add pieces to the beginning until it has SMALL bytes; return its size."""
        for piece in pieces:
            self._beginning += piece
            if len(self._beginning) >= SMALL:
                break
        return len(self._beginning)

    async def _read_large(
        self, chunks: AsyncIterator[bytes], unpacker: Unpacker, pieces: Iterator[bytes], large: LargeAnswers
    ) -> bytes:
        entries = self._bound.entries
        sink: _Sink = Splitter(entries.level, entries.reduce, self._hide_end) if entries is not None else _Whole()

        def receive(piece: bytes) -> None:
            self._size += len(piece)
            self._limit(self._size)
            sink.feed(piece)

        await large.handle(chain(in_pieces(bytes(self._beginning)), pieces), receive)
        async for chunk in chunks:
            await large.handle(unpacker.pieces(chunk), receive)
            self._limit(unpacker.received)
        unpacker.finish()
        return sink.finish()

    @property
    def _is_unexpected(self) -> bool:
        """Whether only the beginning of the answer matters. A refused workflow is a 400 with a long JSON object."""
        return self._status not in (OK, self._bound.other_status)

    @property
    def _text(self) -> str:
        return self._mask.data(bytes(self._beginning[:QUOTED_FROM]), is_cut=True).decode("utf-8", "replace")

    def _hide_end(self, text: bytes) -> bytes:
        """Return a text that was cut without what may be the beginning of a secret."""
        return text[:-EXAMINED_END] + self._mask.data(text[-EXAMINED_END:], is_cut=True)

    def _limit(self, size: int) -> None:
        if size > self._bound.size:
            raise self._too_large(size)

    def _too_large(self, size: int) -> TooLargeError:
        limit, least = shown_size(self._bound.size), shown_size(size)
        what = message("answer_too_large", route=self._route, size=least, limit=limit)
        return TooLargeError(what, self._status, self._text)


class _Sink(Protocol):
    def feed(self, piece: bytes) -> None: ...
    def finish(self) -> bytes: ...


class _Whole:
    """Keeps all pieces."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def feed(self, piece: bytes) -> None:
        self._kept += piece

    def finish(self) -> bytes:
        return bytes(self._kept)
