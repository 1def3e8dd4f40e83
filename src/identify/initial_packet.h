// SPDX-License-Identifier: MIT
// QUIC packets with long headers (RFC 9000, 17.2; RFC 9369, 3.2), and Initial packets without their protection
// (RFC 9001, 5). Pure.
#pragma once
#include <optional>
#include <vector>

#include "identify/initial_keys.h"

namespace limpid {

enum class PacketType : std::uint8_t { initial, zero_rtt, handshake };

struct LongHeader {
  PacketType type;
  QuicVersion version;
  Bytes destination_id;
  std::size_t number_at;  // where the packet number begins
  std::size_t size;       // of the whole packet; behind it another one may begin
};

// The packet at the front of a datagram, or of what is left of it. None: it is of another version, one that no client
// sends, or longer than the datagram.
[[nodiscard]] std::optional<LongHeader> read_long_header(Bytes datagram);

class OpenedPacket {
 public:
  // None: its tag is not that of these keys. `next_number`: one more than the highest so far.
  static std::optional<OpenedPacket> open(const InitialKeys& keys, const LongHeader& header, Bytes packet,
                                          std::uint64_t next_number);
  [[nodiscard]] std::uint64_t number() const { return number_; }
  [[nodiscard]] Bytes payload() const { return Bytes(bytes_).subspan(begin_, size_); }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
  std::uint64_t number_ = 0;
};

}  // namespace limpid
