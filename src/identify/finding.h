// SPDX-License-Identifier: MIT
// What the first bytes of a flow say about it. Pure, like all of this module.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "policy/application.h"

namespace limpid {

using Bytes = std::span<const std::uint8_t>;

inline constexpr std::size_t most_bytes = 16384;  // of a stream, or of a ClientHello
inline constexpr int most_datagrams = 8;

struct Identity {
  Application application = Application::unknown;
  std::string
      host;  // lower case, without a port or a dot at the end; empty: it names none, or none that can be trusted
  std::string alpn;  // the first protocols the client offers, with ',' between them
  bool operator==(const Identity&) const = default;
};

enum class Progress : std::uint8_t { need_more, found, not_it };

struct Finding {
  Progress progress = Progress::not_it;
  Identity identity;       // need_more: the application is what it is so far, if that is certain
  std::size_t wanted = 0;  // need_more, of a stream: with fewer bytes than this the answer is the same
  bool operator==(const Finding&) const = default;

  static Finding more(std::size_t wanted, Application so_far = Application::unknown) {
    return {Progress::need_more, {so_far, {}, {}}, wanted};
  }
  static Finding of(Identity identity) { return {Progress::found, std::move(identity), 0}; }
  static Finding without_host(Application application) { return of({application, {}, {}}); }
  static Finding none() { return {}; }
};

}  // namespace limpid
