// SPDX-License-Identifier: MIT
// A way through an HTTP proxy: CONNECT (RFC 9110, section 9.3.6) over HTTP/1.1.
#pragma once
#include <optional>
#include <vector>

#include "protocol/answer.h"
#include "protocol/request.h"

namespace limpid {

class HttpConnect {
 public:
  static constexpr std::size_t header_limit = 8192;  // of the answer, interim ones (1xx) included

  // Refused: a host that is none, credentials that Basic authentication cannot carry.
  static Result<HttpConnect> to(const ProxyDestination& destination, const std::optional<Credentials>& credentials);
  // Whether Basic authentication can carry them (RFC 7617, section 2): no control characters, no ':' in the name.
  static Result<> check(const Credentials& credentials);

  [[nodiscard]] Bytes to_send() const { return to_send_; }
  Step take(Bytes received);

 private:
  explicit HttpConnect(std::string_view request);

  std::vector<std::uint8_t> to_send_;
  Received received_{header_limit};
  std::size_t consumed_ = 0;
  std::size_t interim_ = 0;  // bytes of interim answers
  bool is_over_ = false;
};

}  // namespace limpid
