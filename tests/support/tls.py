# SPDX-License-Identifier: MIT
# The first bytes of a TLS client, as OpenSSL writes them.
import ssl
import struct

_HANDSHAKE = 22
_HEADER = 5  # of a record: type, version, length


def client_hello(host):
    """One record with a ClientHello for this host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    written = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), written, server_hostname=host)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return written.read()


def message(record):
    """The handshake message alone."""
    return record[_HEADER:]


def in_records(record, size):
    """The same message in records of `size` bytes of it."""
    text = message(record)
    pieces = (text[start : start + size] for start in range(0, len(text), size))
    return b"".join(struct.pack("!BHH", _HANDSHAKE, 0x0301, len(piece)) + piece for piece in pieces)
