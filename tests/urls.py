"""URLs that lead, or seem to lead, to where no webhook may be sent: none may reach a canary."""

from __future__ import annotations

from collections.abc import Iterator

# ways to write 127.0.0.1, as some resolver, browser or library reads them
LOOPBACK = (
    *("127.0.0.1", "127.0.0.2", "127.1", "127.0.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7F000001"),
    *(
        "017700000001",
        "0177.0.0.1",
        "0177.0.0.01",
        "0x7f.0.0.1",
        "0x7f.1",
        "0x7f.0x0.0x0.0x1",
        "0177.1",
        "127.0x1",
    ),
    *(
        "127.000.000.001",
        "127.0.0.001",
        "00127.0.0.1",
        "6425673729",
        "0x17f000001",
        "127.0.0.1.",
        "127.1.",
        "127..1",
    ),
    *("0", "0x0", "0.0.0.0", "0.0", "00", "0.1.2.3", "%31%32%37.0.0.1", "127%2e0%2e0%2e1", "127.0.0.1%00"),
    *("127。0。0。1", "127．0．0．1", "１２７.0.0.1", "①②⑦.⓪.⓪.①", "127.0.0.1\u00ad", "127\u200b.0.0.1"),  # noqa: RUF001
    *(
        "localhost",
        "LOCALHOST",
        "LocalHost",
        "localhost.",
        "a.localhost",
        "a.b.localhost",
        "ⓛocalhost",
        "lo%63alhost",
    ),
    *("[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::]", "[0::0]", "[::1%25lo]", "[::1%lo]", "[::1]."),
    *(
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::FFFF:7F00:0001]",
        "[::ffff:0:7f00:1]",
    ),
    *("[::127.0.0.1]", "[::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]"),
    *("[2002:7f00:1::]", "[2002:7f00:1::1]", "[2001:0:7f00:1::]", "[2001::7f00:1]", "[fe80::1]", "[fe80::1%25lo]"),
    *("::1", "[::1", "::1]", "[[::1]]", "[127.0.0.1]", "[::ffff:127.1]", "[v1.::1]", "[]", "[:]", "[:::1]"),
)
# others that are not public
ELSEWHERE = (
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255"),
    *("169.254.169.254", "169.254.170.2", "169.254.0.1", "168.63.129.16", "100.64.0.1", "100.100.100.200"),
    *("100.127.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1"),
    *(
        "198.19.255.255",
        "192.88.99.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.175.48.1",
        "224.0.0.1",
        "239.255.255.255",
    ),
    *(
        "240.0.0.1",
        "255.255.255.255",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "10.1",
        "0xa.1",
        "0300.0250.1",
    ),
    *("[fc00::1]", "[fd00:ec2::254]", "[fdff::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[3fff::1]"),
    *("[100::1]", "[2001:2::1]", "[2001:10::1]", "[2001:20::1]", "[2620:4f:8000::1]", "[5f00::1]", "[4000::1]"),
    *(
        "[::ffff:10.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::10.0.0.1]",
        "[2002:a00:1::]",
        "[2002:c0a8:1::1]",
    ),
    *("[2002:a9fe:a9fe::]", "[::10.0.0.1]", "[::ffff:0:10.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[2001:0:a00:1::]"),
)
# names that a resolver sends there
NAMES = (
    "rebinds.example",
    "loopback.example",
    "mapped.example",
    "six.example",
    "mixed.example",
    "metadata.example",
)
# whose host two readers may see differently: good.example is what one of them sees, {port} the canary's
CONFUSING = (
    *(
        "http://good.example@127.0.0.1:{port}/",
        "http://good.example:80@127.0.0.1:{port}/",
        "http://@127.0.0.1:{port}/",
    ),
    *(
        "http://a:b@good.example/",
        "http://127.0.0.1:{port}\\@good.example/",
        "http://good.example\\@127.0.0.1:{port}/",
    ),
    *(
        "http://127.0.0.1:{port}#@good.example/",
        "http://good.example#@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}?@good/",
    ),
    *("http:\\\\127.0.0.1:{port}/", "http:/127.0.0.1:{port}/", "http:127.0.0.1:{port}/", "//127.0.0.1:{port}/"),
    *(
        "http:///127.0.0.1:{port}/",
        "http://///127.0.0.1:{port}/",
        "127.0.0.1:{port}/",
        " http://127.0.0.1:{port}/",
    ),
    *(
        "http://127.0.0.1:{port}/ ",
        "http://127.0.0.1 :{port}/",
        "http://127.0.0.1:{port} /",
        "http://127.0.0.1:{port}\t/",
    ),
    *(
        "http://127.0.0.1:{port}/\r\nHost: good.example",
        "ht\ntp://127.0.0.1:{port}/",
        "http://127.\n0.0.1:{port}/",
    ),
    *(
        "http://127.0.0.1:{port}/\x00",
        "http://127.0.0.1\x00.good.example:{port}/",
        "http://good.example:{port}:80/",
    ),
    *(
        "http://127.0.0.1::{port}/",
        "http://127.0.0.1:+{port}/",
        "http://127.0.0.1: {port}/",
        "http://127.0.0.1:0x50/",
    ),
    *(
        "http://127.0.0.1:{port}%2f@good.example/",
        "http://good.example%2f@127.0.0.1:{port}/",
        "http://[::1]@good/",
    ),
    *(
        "http://good.example%23@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}%23.good.example/",
        "http://127.0.0.1:/",
    ),
    *(
        "http://good.example%00@127.0.0.1:{port}/",
        "http://good.example&@127.0.0.1:{port}#@more/",
        "http://-:{port}/",
    ),
    *("http://[::1]:{port}:80/", "http://[::1]{port}/", "http://[::1]a:{port}/", "http://a[::1]:{port}/"),
    *("http://127.0.0.1:00{port}/", "http://127.0.0.1:65536/", "http://127.0.0.1:0/", "http://127.0.0.1:-1/"),
    *(
        "http://*.localhost:{port}/",
        "http://.localhost:{port}/",
        "http://localhost..:{port}/",
        "http://./",
        "http://../",
    ),
    *(
        "http://%6c%6f%63%61%6c%68%6f%73%74:{port}/",
        "http://127.0.0.1;good.example:{port}/",
        "http://good,127.0.0.1/",
    ),
    *(
        "http://xn--/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 130 + "example/",
        "http://",
        "https://",
    ),
)
SCHEMES = (
    *("ftp", "file", "gopher", "dict", "ldap", "tftp", "ws", "wss", "jar", "unix", "data", "javascript", "redis"),
    *("h2", "httpx", "http+unix", "https+insecure", "view-source", "blob", "sftp", "smb", "netdoc", "php"),
)
PORTS = (
    1,
    7,
    21,
    22,
    23,
    25,
    53,
    110,
    143,
    389,
    445,
    514,
    587,
    993,
    2049,
    4045,
    5060,
    6000,
    6379,
    6667,
    10080,
    11211,
)


def corpus(port: int) -> Iterator[str]:
    """With the canary's port wherever there is room for one."""
    for host in (*LOOPBACK, *ELSEWHERE):
        yield f"http://{host}:{port}/hook"
    for host in LOOPBACK:
        yield f"https://{host}:{port}/hook?a=b"
    for host in NAMES:
        for scheme in ("http", "https"):
            yield f"{scheme}://{host}:{port}/hook"
            yield f"{scheme.upper()}://{host.upper()}:{port}/"
    for text in CONFUSING:
        yield text.replace("{port}", str(port))
    for scheme in SCHEMES:
        yield f"{scheme}://127.0.0.1:{port}/"
        yield f"{scheme}:127.0.0.1:{port}"
    for bad in PORTS:
        yield f"http://good.example:{bad}/"
        yield f"http://127.0.0.1:{bad}/"
