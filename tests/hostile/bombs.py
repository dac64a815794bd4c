"""Pictures that claim to be larger than any memory, or are."""

import io
import struct
import zlib

from PIL import Image

HUGE = 60_000


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """That many zeros, deflated: a thousandth of it."""
    packer = zlib.compressobj(9)
    million = bytes(1 << 20)
    return b"".join(packer.compress(million) for _ in range(count >> 20)) + packer.flush()


def flat_png(side: int) -> bytes:
    """A sound PNG, black, of a thousandth of its pixels' bytes."""
    return png(side, side, chunk(b"IDAT", zeros((3 * side + 1) * side + (1 << 20))))


def encoded(kind: str, width: int = 48, height: int = 32, **more: object) -> bytes:
    file = io.BytesIO()
    gradient = Image.linear_gradient("L").resize((width, height))
    Image.merge("RGB", (gradient, gradient.rotate(90), gradient.rotate(180))).save(file, kind, **more)
    return file.getvalue()


def with_size(data: bytes, place: int, form: str, *sizes: int) -> bytes:
    """`data` with other numbers where its size stands."""
    found = bytearray(data)
    struct.pack_into(form, found, place, *sizes)
    return bytes(found)


def jpeg_of(width: int, height: int) -> bytes:
    data = encoded("JPEG")
    return with_size(data, data.index(b"\xff\xc0") + 5, ">HH", height, width)


def tiff_of(width: int, height: int) -> bytes:
    """Its directory's first two entries are width and height."""
    data = encoded("TIFF")
    directory = struct.unpack_from("<I", data, 4)[0]
    data = with_size(data, directory + 2 + 2, "<HIi", 4, 1, width)
    return with_size(data, directory + 2 + 12 + 2, "<HIi", 4, 1, height)


def webp_of(side: int) -> bytes:
    """An extended WebP: the canvas is claimed apart from what is drawn on it."""
    drawn = encoded("WEBP")[12:]
    claimed = (side - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + claimed + claimed + drawn
    return b"RIFF" + struct.pack("<I", len(body)) + body


CLAIMS: dict[str, bytes] = {
    "claims.png": png(HUGE, HUGE, chunk(b"IDAT", zeros(1 << 20))),
    "claims-16.png": png(HUGE, HUGE, chunk(b"IDAT", zeros(1 << 20)), depth=16),
    "claims.jpg": jpeg_of(HUGE, HUGE),
    "claims.webp": webp_of(1 << 24),
    "claims.tif": tiff_of(HUGE, HUGE),
    "claims.bmp": with_size(encoded("BMP"), 18, "<ii", HUGE, HUGE),
    "claims.ppm": f"P6 {HUGE} {HUGE} 255\n".encode() + bytes(1000),
    "claims-gif.png": with_size(encoded("GIF"), 6, "<HH", 65_535, 65_535),
}
"""Each is told from its header to be too large, and none has what it claims."""
PACKED: dict[str, bytes] = {
    "profile.png": png(32, 32, chunk(b"iCCP", b"a\0\0" + zeros(256 << 20)), chunk(b"IDAT", zeros(1 << 20))),
    "text.png": png(32, 32, chunk(b"zTXt", b"a\0\0" + zeros(256 << 20)), chunk(b"IDAT", zeros(1 << 20))),
    "behind.png": png(32, 32, chunk(b"IDAT", zeros(512 << 20))),
}
"""Small pictures with much more in them than their pixels."""
