// SPDX-License-Identifier: MIT
// SSH by its identification string (RFC 4253, 4.2). Its clients name no host. Pure.
#pragma once
#include <string_view>

namespace limpid {

inline constexpr std::string_view ssh_banner = "SSH-";

}  // namespace limpid
