// SPDX-License-Identifier: MIT
// The keys of a client's Initial packets, which anybody on the way can compute (RFC 9001, 5.2; RFC 9369, 3.3). Pure.
#pragma once
#include <array>
#include <cstdint>

#include "identify/finding.h"

namespace limpid {

enum class QuicVersion : std::uint32_t { v1 = 0x00000001, v2 = 0x6b3343cf };

struct InitialKeys {
  std::array<std::uint8_t, 16> key;
  std::array<std::uint8_t, 12> iv;
  std::array<std::uint8_t, 16> header_protection;

  // `destination_id`: that of the first Initial, or of the first one after a Retry.
  static InitialKeys of_client(QuicVersion version, Bytes destination_id);
  // The AEAD's nonce (RFC 9001, 5.3).
  [[nodiscard]] std::array<std::uint8_t, 12> nonce(std::uint64_t packet_number) const;
};

}  // namespace limpid
