// SPDX-License-Identifier: MIT
// For tests and fuzzing: QUIC Initial packets as a client makes them.
#pragma once
#include <cstdint>
#include <vector>

#include "identify/initial_keys.h"

namespace limpid {

struct InitialFields {
  QuicVersion version = QuicVersion::v1;
  std::vector<std::uint8_t> destination_id = {0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08};
  std::vector<std::uint8_t> token = {};
  std::uint32_t number = 0;
};

// With the keys of its destination ID, or with others. Token and payload of up to 16,000 bytes.
[[nodiscard]] std::vector<std::uint8_t> build_initial(const InitialFields& fields, Bytes payload);
[[nodiscard]] std::vector<std::uint8_t> build_initial(const InitialKeys& keys, const InitialFields& fields,
                                                      Bytes payload);
[[nodiscard]] std::vector<std::uint8_t> crypto_frame(std::size_t offset, Bytes data);

}  // namespace limpid
