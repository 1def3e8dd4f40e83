// SPDX-License-Identifier: MIT
#include "daemon/reload.h"

#include <fmt/format.h>

#include <array>

#include "base/check.h"
#include "config/keys.h"

namespace limpid {
namespace {

struct Fixed {
  std::string_view path;
  std::string_view why;
};

constexpr auto fixed_keys = std::to_array<Fixed>({
    {"intercept.mark", "live sessions carry it"},
    {"intercept.local_mark", "live sessions carry it"},
    {"intercept.own_mark", "live sessions carry it"},
    {"intercept.table", "live sessions are routed by it"},
    {"intercept.priority", "live sessions are routed by it"},
    {"transparency.handover", "the kernel may have flows already"},
    {"process.user", "the worker has given up the right to become another"},
});

std::string changed(std::string_view path, std::string_view why) {
  return fmt::format("{} cannot change while limpid runs ({}): start it again, or leave the key as it was", path, why);
}

bool is_logged(const Config& config) { return config.log.access != "off"; }

}  // namespace

std::vector<std::string> unchangeable(const Config& running, const Config& wanted) {
  std::vector<std::string> sentences;
  for (const Fixed& fixed : fixed_keys) {
    const Key* const key = find_key(fixed.path);
    CHECK(key != nullptr);
    if (key->texts(running) != key->texts(wanted)) sentences.push_back(changed(fixed.path, fixed.why));
  }
  if (running.intercept.udp.empty() != wanted.intercept.udp.empty())
    sentences.push_back(changed("intercept.udp, from no port to some or back,", "its sockets are opened at the start"));
  if (is_logged(running) != is_logged(wanted))
    sentences.push_back(changed("log.access, from \"off\" or to it,", "its pipes are laid at the start"));
  return sentences;
}

}  // namespace limpid
