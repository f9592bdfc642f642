"""Requests that two parsers might read differently; after each stands another that must not be answered."""

from __future__ import annotations

POST = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
NEXT = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
BODY = b'{"algorithm": "Rest"}'
CHUNKED = b"Transfer-Encoding: chunked\r\n"
WHOLE = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"Content-Length: %d\r\n" % len(BODY)


def _line(line: bytes) -> bytes:
    return line + b"\r\nHost: localhost\r\n\r\n"


def _with(*headers: bytes) -> bytes:
    return POST + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + BODY


def _chunks(framed: bytes) -> bytes:
    return POST + CHUNKED + b"\r\n" + framed


REFUSED: dict[str, bytes] = {
    # a length beside a transfer coding
    "CL.TE": POST + LENGTH + CHUNKED + b"\r\n" + WHOLE,
    "TE.CL": POST + CHUNKED + LENGTH + b"\r\n" + WHOLE,
    "CL.TE, length 0": POST + b"Content-Length: 0\r\n" + CHUNKED + b"\r\n" + WHOLE,
    "CL.TE in capitals": POST + b"CONTENT-LENGTH: 4\r\nTRANSFER-ENCODING: chunked\r\n\r\n" + WHOLE,
    "TE with a length of several": POST + CHUNKED + b"Content-Length: 5, 5\r\n\r\n" + WHOLE,
    # lengths
    "two equal lengths": _with(b"Content-Length: 21", b"Content-Length: 21"),
    "two lengths": _with(b"Content-Length: 21", b"Content-Length: 5"),
    "a list of equal lengths": _with(b"Content-Length: 21, 21"),
    "a list of lengths": _with(b"Content-Length: 5, 21"),
    "length with a plus": _with(b"Content-Length: +21"),
    "negative length": _with(b"Content-Length: -21"),
    "length in hexadecimal": _with(b"Content-Length: 0x15"),
    "length with an underscore": _with(b"Content-Length: 2_1"),
    "length with a point": _with(b"Content-Length: 21.0"),
    "length with a word": _with(b"Content-Length: 21 bytes"),
    "empty length": _with(b"Content-Length:"),
    "length of spaces": _with(b"Content-Length:    "),
    "quoted length": _with(b'Content-Length: "21"'),
    "length in Arabic digits": _with("Content-Length: ٢١".encode()),
    "length beyond 64 bits": _with(b"Content-Length: 18446744073709551637"),
    "length with a space within": _with(b"Content-Length: 2 1"),
    "length with a vertical tab": _with(b"Content-Length: \x0b21"),
    # transfer codings
    "two codings": _chunks(WHOLE).replace(CHUNKED, CHUNKED * 2),
    "chunked twice in one": _chunks(WHOLE).replace(b"chunked", b"chunked, chunked"),
    "identity": _chunks(WHOLE).replace(b"chunked", b"identity"),
    "identity, chunked": _chunks(WHOLE).replace(b"chunked", b"identity, chunked"),
    "chunked, identity": _chunks(WHOLE).replace(b"chunked", b"chunked, identity"),
    "gzip, chunked": _chunks(WHOLE).replace(b"chunked", b"gzip, chunked"),
    "xchunked": _chunks(WHOLE).replace(b"chunked", b"xchunked"),
    "chunked;q": _chunks(WHOLE).replace(b"chunked", b"chunked;q=1"),
    "quoted chunked": _chunks(WHOLE).replace(b"chunked", b'"chunked"'),
    "chunked with a vertical tab": _chunks(WHOLE).replace(b"chunked", b"\x0bchunked"),
    "chunked with NUL": _chunks(WHOLE).replace(b"chunked", b"chunked\x00"),
    "empty coding": _chunks(WHOLE).replace(b" chunked", b""),
    "coding in HTTP/1.0": _chunks(WHOLE).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "coding behind a space": _chunks(WHOLE).replace(b"Transfer-Encoding:", b"Transfer-Encoding :"),
    "coding behind a space at the start": _chunks(WHOLE).replace(b"Transfer-Encoding:", b" Transfer-Encoding:"),
    "coding on a folded line": _chunks(WHOLE).replace(b": chunked", b":\r\n chunked"),
    "coding with a dash of another kind": _chunks(WHOLE).replace(b"Transfer-E", "Transfer\u2010E".encode()),
    # lines and headers
    "folded header": GET + b"X-A: 1\r\n 2\r\n\r\n",
    "folded by a tab": GET + b"X-A: 1\r\n\tContent-Length: 5\r\n\r\n",
    "fold at the start": b"GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "bare LF everywhere": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "bare LF after the request line": b"GET /healthz HTTP/1.1\nHost: localhost\r\n\r\n",
    "bare LF after a header": b"GET /healthz HTTP/1.1\r\nHost: localhost\nX-A: 1\r\n\r\n",
    "bare LF at the end": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\n",
    "bare LF before the end": b"GET /healthz HTTP/1.1\r\nHost: localhost\n\r\n",
    "bare CR in a header": GET + b"X-A: 1\rContent-Length: 5\r\n\r\n",
    "bare CR as an end": GET + b"X-A: 1\r\r\n\r\n",
    "space before the colon": GET + b"X-A : 1\r\n\r\n",
    "tab before the colon": GET + b"X-A\t: 1\r\n\r\n",
    "no colon": GET + b"X-A\r\n\r\n",
    "no name": GET + b": 1\r\n\r\n",
    "space in a name": GET + b"X A: 1\r\n\r\n",
    "NUL in a name": GET + b"X-\x00A: 1\r\n\r\n",
    "NUL in a value": GET + b"X-A: 1\x002\r\n\r\n",
    "a control character in a value": GET + b"X-A: \x011\r\n\r\n",
    "DEL in a value": GET + b"X-A: \x7f1\r\n\r\n",
    "a byte of 8 bits in a name": GET + b"X-\xe9: 1\r\n\r\n",
    "brackets in a name": GET + b"X[A]: 1\r\n\r\n",
    "101 headers": GET + b"X-A: 1\r\n" * 101 + b"\r\n",
    "a head of 20 kB": GET + b"X-A: " + b"a" * 20_000 + b"\r\n\r\n",
    "a head of 1 MB": GET + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "a target of 20 kB": _line(b"GET /" + b"a" * 20_000 + b" HTTP/1.1"),
    # the request line
    "absolute form": _line(b"GET http://x/healthz HTTP/1.1"),
    "absolute form, other host": _line(b"GET http://internal/healthz HTTP/1.1"),
    "authority form": _line(b"CONNECT x:443 HTTP/1.1"),
    "CONNECT a path": _line(b"CONNECT /healthz HTTP/1.1"),
    "asterisk form": _line(b"OPTIONS * HTTP/1.1"),
    "no slash": _line(b"GET healthz HTTP/1.1"),
    "no target": _line(b"GET  HTTP/1.1"),
    "two spaces": _line(b"GET  /healthz HTTP/1.1"),
    "tab": _line(b"GET\t/healthz\tHTTP/1.1"),
    "space in the target": _line(b"GET /healthz /x HTTP/1.1"),
    "space at the end": _line(b"GET /healthz HTTP/1.1 "),
    "NUL in the target": _line(b"GET /healthz\x00 HTTP/1.1"),
    "8 bits in the target": _line(b"GET /\xe9 HTTP/1.1"),
    "small method": _line(b"get /healthz HTTP/1.1"),
    "odd method": _line(b"GE(T /healthz HTTP/1.1"),
    "empty method": _line(b" /healthz HTTP/1.1"),
    "a line before it": b"\r\n" + GET + b"\r\n",
    "HTTP/0.9": b"GET /healthz\r\n",
    "HTTP/0.9 told": _line(b"GET /healthz HTTP/0.9"),
    "HTTP/1.2": _line(b"GET /healthz HTTP/1.2"),
    "HTTP/1.10": _line(b"GET /healthz HTTP/1.10"),
    "HTTP/2.0": _line(b"GET /healthz HTTP/2.0"),
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "small http": _line(b"GET /healthz http/1.1"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 64,
    # Host
    "no Host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two Hosts": GET + b"Host: y\r\n\r\n",
    "two equal Hosts": GET + b"Host: localhost\r\n\r\n",
    "empty Host": b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n",
    "Host with a path": b"GET /healthz HTTP/1.1\r\nHost: localhost/y\r\n\r\n",
    "Host with a user": b"GET /healthz HTTP/1.1\r\nHost: a@x\r\n\r\n",
    "Host with a space": b"GET /healthz HTTP/1.1\r\nHost: localhost y\r\n\r\n",
    "Hosts in a list": b"GET /healthz HTTP/1.1\r\nHost: localhost, y\r\n\r\n",
    "Host with an odd port": b"GET /healthz HTTP/1.1\r\nHost: localhost:8a\r\n\r\n",
    "Host with 8 bits": b"GET /healthz HTTP/1.1\r\nHost: \xe9\r\n\r\n",
    # chunks
    "a chunk extension": _chunks(WHOLE.replace(b"15\r", b"15;a=b\r", 1)),
    "an extension with a bare LF": _chunks(WHOLE.replace(b"15\r", b"15;a\nb\r", 1)),
    "an extension with a bare CR": _chunks(WHOLE.replace(b"15\r", b"15;a\rb\r", 1)),
    "a size with a space": _chunks(WHOLE.replace(b"15\r", b"15 \r", 1)),
    "a size behind a space": _chunks(WHOLE.replace(b"15\r", b" 15\r", 1)),
    "a size with 0x": _chunks(WHOLE.replace(b"15\r", b"0x15\r", 1)),
    "a negative size": _chunks(WHOLE.replace(b"15\r", b"-15\r", 1)),
    "a size with a plus": _chunks(WHOLE.replace(b"15\r", b"+15\r", 1)),
    "a size with an underscore": _chunks(WHOLE.replace(b"15\r", b"1_5\r", 1)),
    "a size beyond 64 bits": _chunks(WHOLE.replace(b"15\r", b"10000000000000015\r", 1)),
    "an empty size": _chunks(WHOLE.replace(b"15\r", b"\r", 1)),
    "a size with NUL": _chunks(WHOLE.replace(b"15\r", b"15\x00\r", 1)),
    "a bare LF behind a size": _chunks(WHOLE.replace(b"15\r\n", b"15\n", 1)),
    "a bare LF behind a chunk": _chunks(WHOLE.replace(b"}\r\n", b"}\n", 1)),
    "a chunk that is longer than told": _chunks(WHOLE.replace(b"15\r", b"10\r", 1)),
    "a chunk that is shorter than told": _chunks(WHOLE.replace(b"15\r", b"17\r", 1)),
    "bare LFs at the end": _chunks(WHOLE.replace(b"0\r\n\r\n", b"0\n\n")),
    "a bare LF at the end": _chunks(WHOLE.replace(b"0\r\n\r\n", b"0\r\n\n")),
    "a trailer": _chunks(WHOLE.replace(b"0\r\n\r\n", b"0\r\nContent-Length: 5\r\n\r\n")),
    "a request for a trailer": _chunks(WHOLE.replace(b"0\r\n\r\n", b"0\r\n" + NEXT)),
    "100,000 chunks": _chunks(b"1\r\n \r\n" * 100_000),
}

ACCEPTED: dict[str, tuple[bytes, int]] = {
    "a length": (POST + LENGTH + b"\r\n" + BODY, 202),
    "chunks": (_chunks(WHOLE), 202),
    "many chunks": (_chunks(b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"), 202),
    "coding in capitals": (_chunks(WHOLE).replace(b"chunked", b"CHUNKED"), 202),
    "size in capitals and with zeros": (_chunks(b"0001F\r\n" + BODY.ljust(31) + b"\r\n000\r\n\r\n"), 202),
    "space around a value": (POST + b"Content-Length:\t 21 \r\n\r\n" + BODY, 202),
    "no space before a value": (POST + b"Content-Length:21\r\n\r\n" + BODY, 202),
    "a port": (b"GET /healthz HTTP/1.1\r\nHost: localhost:8000\r\n\r\n", 200),
    "an IPv6 Host": (b"GET /healthz HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", 200),
    "8 bits in a value": (GET + b"X-A: \xe9\r\n\r\n", 200),
    "an empty value": (GET + b"X-A:\r\n\r\n", 200),
    "an upgrade that is not made": (GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200),
    "an unknown method": (_line(b"BREW /healthz HTTP/1.1"), 405),
    "an unknown path": (_line(b"GET //x/../y?z=%00 HTTP/1.1"), 404),
}
