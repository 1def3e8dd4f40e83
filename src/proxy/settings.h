// SPDX-License-Identifier: MIT
// What the path needs to know of the configuration; crosses from the supervisor to the worker as it is.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>

#include "net/address.h"
#include "policy/rule.h"
#include "proxy/udp_table.h"

namespace limpid {

struct PathSettings {
  Mark own_mark;                         // of upstream sockets
  Mark accepted_mark{};                  // of accepted ones
  std::array<std::uint16_t, 2> ports{};  // of the listeners for what is intercepted, IPv4 and IPv6; 0: none
  Source source = Source::client;        // whose address and port the destination sees
  bool require_port = false;             // refuse when the client's port cannot be had
  bool local = false;                    // this machine's own connections come too
  bool once = false;                     // one session, and no other when it is over
  std::int64_t sessions_max = 0;         // over all threads
  std::chrono::milliseconds connect_timeout{};
  std::chrono::milliseconds identify_timeout{};
  std::chrono::milliseconds idle_timeout{};
  std::chrono::milliseconds half_closed_timeout{};
  UdpLimits udp{};
  std::chrono::milliseconds verify_host_grace{};
  bool handover = true;  // UDP flows that go direct are left to the kernel
};

// The start probe connects to these documentation addresses (RFC 5737, RFC 3849), where nobody is.
inline constexpr std::uint16_t probe_port = 9;
[[nodiscard]] Endpoint probe_destination(int family);

// What a probe that has come through the rules is answered.
inline constexpr std::string_view probe_answer = "limpid";

}  // namespace limpid
