// SPDX-License-Identifier: MIT
// The control socket: the only door for those who ask a running limpid something. A connection carries one request, a
// word and a line feed, and one answer, a line of JSON: {"result": ...} or {"error": "..."}.
#pragma once
#include <chrono>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace limpid {

inline constexpr const char* default_control_socket = "/run/limpid.sock";
inline constexpr std::size_t longest_request = 256;  // bytes

// Nobody listens there (ENOENT, ECONNREFUSED): no limpid runs. Any other refusal has another code.
[[nodiscard]] bool is_nobody_there(const Error& error);
// Says so, and what to do.
[[nodiscard]] Error nobody_there(const std::string& socket_path);

// Asks, and waits for the answer; an error answer is an Error. `request`: "status", "config" (its text, as a file would
// have it), "withdraw", "flows", or "take-back" and a filter (policy/flow_filter.h).
[[nodiscard]] Result<std::string> ask(const std::string& socket_path, const std::string& request,
                                      std::chrono::milliseconds patience);

// Removes the socket file of a limpid that is dead; one that is not there is fine. A file of another kind is an Error.
[[nodiscard]] Result<> remove_dead_socket(const std::string& socket_path);

// A listening socket at that path, mode 0600. What a dead instance left there is replaced; a living one is an Error.
[[nodiscard]] Result<Fd> listen_for_requests(const std::string& socket_path);

// A text as JSON has it, quotes and all.
[[nodiscard]] std::string json_text(const std::string& text);

// The answers.
[[nodiscard]] std::string answer_result(const std::string& json);
[[nodiscard]] std::string answer_error(const std::string& message);

}  // namespace limpid
