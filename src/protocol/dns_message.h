// SPDX-License-Identifier: MIT
// Reads what verify_host needs of DNS messages (RFC 1035): what is asked for, and the addresses that an answer has for
// it. Pure; the parser is the C library's (ns_initparse() of <arpa/nameser.h>), and what it is shown is bounded.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/address.h"
#include "protocol/answer.h"

namespace limpid {

inline constexpr std::size_t most_dns_bytes = 4096;  // of a message that is looked at (RFC 6891, section 6.2.5)
inline constexpr std::size_t most_dns_records = 64;  // of an answer, likewise: more are passed over

struct DnsQuestion {
  std::uint16_t id = 0;
  std::uint16_t type = 0;  // 1: A, 28: AAAA
  std::string name;        // as it is written there, without a dot at the end; is_host_name() (request.h)

  [[nodiscard]] std::string host() const;  // the name in lower case: names are compared without regard to it (RFC 4343)
  bool operator==(const DnsQuestion&) const = default;
};

struct DnsAddress {
  Address address;
  std::chrono::seconds ttl{};  // at most 2^31 - 1 (RFC 2181, section 8)

  bool operator==(const DnsAddress&) const = default;
};

enum class DnsMessage : std::uint8_t { query, response };

// The one question of a standard query, or of the response that repeats it: for addresses of a host in the Internet.
// Nothing: it is another, of another kind, too large, or no DNS message.
[[nodiscard]] std::optional<DnsQuestion> read_dns_question(Bytes message, DnsMessage kind);

// What a response to that question says, CNAMEs followed within it (RFC 1034, section 3.6.2) and the least TTL on the
// way taken. Empty: it says nothing, or an error.
[[nodiscard]] std::vector<DnsAddress> read_dns_addresses(Bytes response, const DnsQuestion& question);

}  // namespace limpid
