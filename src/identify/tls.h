// SPDX-License-Identifier: MIT
// TLS over a stream: records (RFC 8446, 5.1), which may split the ClientHello anywhere. Pure. SSLv2's hello is not TLS.
#pragma once
#include "identify/finding.h"

namespace limpid {

inline constexpr std::uint8_t tls_handshake_record = 22;

[[nodiscard]] Finding identify_tls(Bytes stream);

}  // namespace limpid
