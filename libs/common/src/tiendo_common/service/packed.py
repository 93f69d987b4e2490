"""Large answers, kept compressed until they are whole."""

import zlib
from collections.abc import AsyncIterator

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

#: Bytes up to which an answer is kept as it is.
PLAIN = 256 * 1024
_GZIP = 31  # zlib's way to ask for gzip's header and trailer


class Packed:
    """An answer that is made part by part and sent once it is whole.

    What is large here repeats itself and shrinks to a tenth; so a request holds little memory while it is worked
    on, and no transaction waits for the network.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._packer: zlib._Compress | None = None

    def add(self, part: bytes) -> None:
        """Add bytes to the end."""
        if self._packer is None:
            self._parts.append(part)
            self._size += len(part)
            if self._size <= PLAIN:
                return
            self._packer = zlib.compressobj(1, wbits=_GZIP)
            part, self._parts = b"".join(self._parts), []
        if packed := self._packer.compress(part):
            self._parts.append(packed)

    def response(self, request: Request, media_type: str) -> Response:
        """The answer: packed if the client takes that, else unpacked on the way. Nothing can be added then."""
        if self._packer is None:
            return Response(b"".join(self._parts), media_type=media_type)
        self._parts.append(self._packer.flush())
        if _takes_gzip(request.headers.get("accept-encoding", "")):
            headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            return Response(b"".join(self._parts), headers=headers, media_type=media_type)
        return StreamingResponse(self._unpacked(), headers={"Vary": "Accept-Encoding"}, media_type=media_type)

    async def _unpacked(self) -> AsyncIterator[bytes]:
        unpacker = zlib.decompressobj(wbits=_GZIP)
        for part in self._parts:
            rest = part
            while rest:
                yield unpacker.decompress(rest, PLAIN)
                rest = unpacker.unconsumed_tail
        yield unpacker.flush()


def _takes_gzip(accepted: str) -> bool:
    for each in accepted.split(","):
        coding, _, weight = each.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
