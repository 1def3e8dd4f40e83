// SPDX-License-Identifier: MIT
// Why a session, or a UDP flow, ended: each ends in exactly one CloseReason, a counter and one word in the access log.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>

namespace limpid {

enum class CloseReason : unsigned char {
  done,                 // both ends finished in order; one question and its answer, in UDP
  client_reset,         // mirrored to the upstream
  upstream_reset,       // mirrored to the client
  connect_refused,      // the destination answered with RST
  connect_timeout,      // no answer in connect_timeout, or in the kernel's own time
  connect_unreachable,  // an ICMP error or no route
  connect_failed,       // any other refusal of connect(2)
  source_unavailable,   // keep_port = "require" and the port, or any address of the client, could not be had
  idle_timeout,
  half_closed_timeout,
  unanswered,        // a UDP flow: nothing ever came back
  evicted,           // a UDP flow: its place was needed
  rejected,          // a rule says so
  dropped,           // likewise: the client was left without an answer
  unverified,        // likewise: no answer that the client has had gives the host this address
  upstream_failed,   // no address of the upstream took the connection on
  loop,              // somebody connected to the listener itself, or a listener's flow would come back to this machine
  untrusted,         // who may not send a PROXY protocol header connected to a listener that wants one
  bad_proxy_header,  // what came in its place is none, or did not come in time
  withdrawn,         // we ended it: the drain timed out
  error,             // the kernel refused us something: descriptors, memory
};

inline constexpr std::array close_reason_names = {std::string_view("done"),
                                                  std::string_view("client_reset"),
                                                  std::string_view("upstream_reset"),
                                                  std::string_view("connect_refused"),
                                                  std::string_view("connect_timeout"),
                                                  std::string_view("connect_unreachable"),
                                                  std::string_view("connect_failed"),
                                                  std::string_view("source_unavailable"),
                                                  std::string_view("idle_timeout"),
                                                  std::string_view("half_closed_timeout"),
                                                  std::string_view("unanswered"),
                                                  std::string_view("evicted"),
                                                  std::string_view("rejected"),
                                                  std::string_view("dropped"),
                                                  std::string_view("unverified"),
                                                  std::string_view("upstream_failed"),
                                                  std::string_view("loop"),
                                                  std::string_view("untrusted"),
                                                  std::string_view("bad_proxy_header"),
                                                  std::string_view("withdrawn"),
                                                  std::string_view("error")};

inline constexpr std::size_t close_reasons = close_reason_names.size();
static_assert(close_reasons == static_cast<std::size_t>(CloseReason::error) + 1);

[[nodiscard]] constexpr std::string_view name_of(CloseReason reason) {
  return close_reason_names[static_cast<std::size_t>(reason)];
}

}  // namespace limpid
