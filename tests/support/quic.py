# SPDX-License-Identifier: MIT
# The first datagram of a QUIC client (RFC 9000, section 17.2.2; RFC 9001, section 5).
import hashlib
import hmac
import os
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import tls

_SALT = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")  # RFC 9001, section 5.2
_SIZE = 1200  # bytes of a datagram with an Initial packet, at least
_TAG = 16
_NUMBER = 4  # bytes of the packet number


def initial(host, connection=None):
    """An Initial packet in a datagram of its own, with a ClientHello for this host."""
    return protected(_crypto_frame(tls.message(tls.client_hello(host))), connection or os.urandom(8))


def _crypto_frame(data):
    return b"\x06\x00" + _length(len(data)) + data


def protected(frames, connection, number=0):
    """These frames in an Initial packet with this destination connection id."""
    size = _SIZE - len(_header(connection, 0, number)) - _TAG
    frames += bytes(size - len(frames))  # PADDING
    header = _header(connection, _NUMBER + size + _TAG, number)
    secret = _expand(hmac.digest(_SALT, connection, hashlib.sha256), "client in", 32)
    key, iv, mask_key = (_expand(secret, label, length) for label, length in (
        ("quic key", 16), ("quic iv", 12), ("quic hp", 16)))  # fmt: skip
    nonce = (int.from_bytes(iv, "big") ^ number).to_bytes(12, "big")
    payload = AESGCM(key).encrypt(nonce, frames, header)
    # The sample begins where a packet number of 4 bytes would end: here, with the payload.
    mask = Cipher(algorithms.AES(mask_key), modes.ECB()).encryptor().update(payload[:16])
    hidden = bytes(a ^ b for a, b in zip(header[-_NUMBER:], mask[1:]))
    return bytes([header[0] ^ mask[0] & 0x0F]) + header[1:-_NUMBER] + hidden + payload


def _header(connection, length, number):
    start = struct.pack("!BIB", 0xC0 | _NUMBER - 1, 1, len(connection)) + connection
    return start + b"\x00\x00" + _length(length) + number.to_bytes(_NUMBER, "big")  # no source id, no token


def _length(value):
    return struct.pack("!H", 0x4000 | value)


def _expand(secret, label, length):
    """HKDF-Expand-Label of up to 32 bytes (RFC 8446, section 7.1)."""
    name = b"tls13 " + label.encode()
    info = struct.pack("!HB", length, len(name)) + name + b"\x00\x01"
    return hmac.digest(secret, info, hashlib.sha256)[:length]
