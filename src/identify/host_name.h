// SPDX-License-Identifier: MIT
// Names as clients write them -> hosts as rules compare them. Pure.
#pragma once
#include <string>
#include <string_view>

#include "base/ascii.h"

namespace limpid {

// In lower case, without the dot at the end; empty if it is an address or no valid name: labels of 1 to 63 letters,
// digits, '-' and '_', 253 bytes in all.
[[nodiscard]] std::string host_name(std::string_view text);

// The host of "host", "host:port" or "[address]:port" (RFC 3986, 3.2). With a user before it there is none: nobody may
// send that (RFC 9110, 4.2.4), and readers differ on where it ends.
[[nodiscard]] std::string host_of_authority(std::string_view authority);

// A place where one host should stand and several may. Of two that differ neither is taken: the upstream might read the
// other one.
class OneHost {
 public:
  void add(std::string host);
  [[nodiscard]] bool is_there() const { return is_there_; }
  [[nodiscard]] std::string take() { return std::move(host_); }

 private:
  bool is_there_ = false;
  std::string host_;
};

}  // namespace limpid
