// SPDX-License-Identifier: MIT
// First bytes -> application, host. No system calls, no clock, bounded memory; the bytes may be anything. Once an
// answer is not need_more, more bytes of the same flow do not change it.
#pragma once
#include <optional>

#include "identify/crypto_stream.h"
#include "identify/finding.h"
#include "identify/initial_keys.h"

namespace limpid {

struct LongHeader;

// What a TCP client has sent so far, from its first byte. Never need_more with most_bytes of them: what is certain by
// then is found, without a host.
[[nodiscard]] Finding identify_stream(Bytes first_bytes);

// The datagrams of one client to one destination, from the first on: QUIC (RFC 9000, RFC 9369), whose ClientHello may
// be spread over several. not_it: the first one begins with no packet that a client has sealed. Never need_more after
// most_datagrams.
class DatagramIdentifier {
 public:
  [[nodiscard]] Finding add(Bytes datagram);

 private:
  Finding look(Bytes datagram);
  // Whether it is an Initial that a client has sealed; then its frames are read.
  bool read_initial(const LongHeader& header, Bytes packet);
  void read_frames(Bytes payload);

  std::optional<InitialKeys> keys_;  // that have opened an Initial
  std::uint64_t next_packet_number_ = 0;
  CryptoStream crypto_;
  int datagrams_ = 0;
  Finding answer_ = Finding::more(0);
};

}  // namespace limpid
