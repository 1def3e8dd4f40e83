// SPDX-License-Identifier: MIT
// SOCKS5: whatever a proxy sends, the answer does not depend on how it is cut or on what follows the handshake, and a
// datagram that was read is written as the same. Input: a byte that chooses, 1 credentials, 2 UDP ASSOCIATE, 4 neither;
// then what the proxy sends, as a stream and as a datagram.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "protocol/in_pieces.h"
#include "protocol/socks5.h"

namespace limpid {
namespace {

void check_stream(std::uint8_t choice, Bytes stream) {
  const auto make = [choice] {
    std::optional<Credentials> credentials;
    if (choice & 1) credentials = Credentials{"name", "password"};
    if (choice & 4) return *Socks5::log_in(credentials);
    return choice & 2 ? *Socks5::udp_associate({}, credentials) : *Socks5::connect({{}, "host.example"}, credentials);
  };
  const Outcome outcome = outcome_of(make, stream);
  CHECK(outcome.next != Step::Next::refused || !outcome.refusal.reason.empty());
  CHECK(outcome.consumed <= 2 + 2 + 262);
}

void check_datagram(Bytes datagram) {
  const std::optional<Socks5Datagram> read = parse_socks5_datagram(datagram);
  if (!read) return;
  CHECK(read->payload.data() + read->payload.size() == datagram.data() + datagram.size());
  auto written = socks5_udp_header({read->source, std::string(read->host)});
  CHECK(written || !is_host_name(read->host));
  if (!written) return;
  written->insert(written->end(), read->payload.begin(), read->payload.end());
  CHECK(std::ranges::equal(*written, datagram));
}

}  // namespace
}  // namespace limpid

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  limpid::check_stream(data[0], {data + 1, size - 1});
  limpid::check_datagram({data + 1, size - 1});
  return 0;
}
