// SPDX-License-Identifier: MIT
// The ClientHello of TLS, as it stands in records and in QUIC's CRYPTO frames alike (RFC 8446, 4.1.2). Pure.
#pragma once
#include "identify/finding.h"

namespace limpid {

// `handshake`: the client's handshake messages from their first byte on, as far as they are there. `wanted` counts
// these bytes. The host is the server_name (RFC 6066, 3), of Encrypted Client Hello the outer one. A ClientHello that
// cannot be complete within most_bytes is found without a host as soon as its length is read.
[[nodiscard]] Finding identify_client_hello(Bytes handshake, Application application);

}  // namespace limpid
