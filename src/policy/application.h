// SPDX-License-Identifier: MIT
// What the client speaks, and its word in the configuration, the access log and the dashboard.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace limpid {

enum class Application : std::uint8_t {
  unknown,
  tls,
  http,  // 1.x, and 2 with prior knowledge
  quic,
  ssh,
};

inline constexpr std::array application_names = {std::string_view("unknown"), std::string_view("tls"),
                                                 std::string_view("http"), std::string_view("quic"),
                                                 std::string_view("ssh")};

inline constexpr std::size_t applications = application_names.size();
static_assert(applications == static_cast<std::size_t>(Application::ssh) + 1);

[[nodiscard]] constexpr std::string_view name_of(Application application) {
  return application_names[static_cast<std::size_t>(application)];
}

[[nodiscard]] constexpr std::optional<Application> application_of(std::string_view name) {
  const auto found = std::ranges::find(application_names, name);
  if (found == application_names.end()) return std::nullopt;
  return static_cast<Application>(found - application_names.begin());
}

}  // namespace limpid
