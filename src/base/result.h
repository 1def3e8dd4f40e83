// SPDX-License-Identifier: MIT
// What a call that the world may refuse returns. A broken invariant of ours is not an Error but a CHECK (base/check.h).
#pragma once
#include <fmt/format.h>

#include <cstring>
#include <expected>
#include <string>
#include <utility>

namespace limpid {

// One refusal, told from the outside in: "add fib rule 99: RTM_NEWRULE: File exists".
struct Error {
  std::string what;
  int code = 0;  // errno where there is one, else 0

  // The same refusal, seen from one level further out.
  [[nodiscard]] Error in(std::string_view context) const { return {fmt::format("{}: {}", context, what), code}; }
};

template <class T = void>
using Result = std::expected<T, Error>;

// A refusal in our own words.
[[nodiscard]] inline std::unexpected<Error> failure(std::string what, int code = 0) {
  return std::unexpected(Error{std::move(what), code});
}

// A system call's refusal: "bind 127.0.0.1:80: Address already in use".
[[nodiscard]] inline std::unexpected<Error> errno_failure(std::string_view call, int code) {
  return std::unexpected(Error{fmt::format("{}: {}", call, std::strerror(code)), code});
}

// Passes a refusal on with one more level of context.
template <class T>
[[nodiscard]] std::unexpected<Error> failure_in(std::string_view context, const Result<T>& result) {
  return std::unexpected(result.error().in(context));
}

}  // namespace limpid
