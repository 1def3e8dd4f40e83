// SPDX-License-Identifier: MIT
// HTTP/2 with prior knowledge (RFC 9113, 3.3): the preface, then frames up to the first request's header. Pure.
#pragma once
#include <string_view>

#include "identify/finding.h"

namespace limpid {

inline constexpr std::string_view http2_preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// `stream` begins with the preface. The host is that of :authority or, without it, of host. Frames that are not in
// order: http without a host.
[[nodiscard]] Finding identify_http2(Bytes stream);

}  // namespace limpid
