// SPDX-License-Identifier: MIT
// What a decision is about. Values only.
#pragma once
#include <cstdint>

#include "net/address.h"

namespace limpid {

enum class Protocol : std::uint8_t { tcp, udp };

struct Flow {
  Endpoint client;
  Endpoint destination;
  bool operator==(const Flow&) const = default;
};

}  // namespace limpid
