// SPDX-License-Identifier: MIT
#include "protocol/request.h"

#include <algorithm>

#include "base/ascii.h"

namespace limpid {

bool is_host_name(std::string_view text) {
  const auto is_allowed = [](char byte) {
    return is_letter(byte) || is_digit(byte) || byte == '-' || byte == '_' || byte == '.';
  };
  return !text.empty() && text.size() <= 255 && text.front() != '.' && std::ranges::all_of(text, is_allowed);
}

Result<> check_destination(const ProxyDestination& destination) {
  if (destination.host.empty() || is_host_name(destination.host)) return {};
  return failure("the destination's host is not a host name");  // it comes from a client: not for the log as it is
}

}  // namespace limpid
