// SPDX-License-Identifier: MIT
// HTTP/1.x: the request line and, from Boost.Beast, the header behind it (RFC 9112). Pure.
#pragma once
#include "identify/finding.h"

namespace limpid {

// not_it at the first byte that no request line has; found at the empty line. The host is that of the request's target
// if it has one (RFC 9112, 3.2.2 and 3.2.3), else of Host. A header that is not in order: http without a host.
[[nodiscard]] Finding identify_http1(Bytes stream);

}  // namespace limpid
