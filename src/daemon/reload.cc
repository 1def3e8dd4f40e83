// SPDX-License-Identifier: MIT
#include "daemon/reload.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "config/keys.h"
#include "intercept/plan.h"

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

// Of those who have a place in both, who cannot be given other options while they listen.
void add_changed_listeners(const Config& running, const Config& wanted, std::vector<std::string>& sentences) {
  for (const ListenerSettings& now : running.listeners)
    for (const ListenerSettings& then : wanted.listeners)
      for (const Endpoint& at : now.listen) {
        const bool same_socket = (now.accept == Accept::transparent) == (then.accept == Accept::transparent) &&
                                 now.fast_open == then.fast_open;
        if (same_socket || std::ranges::find(then.listen, at) == then.listen.end()) continue;
        sentences.push_back(
            changed(fmt::format("listener.accept, to or from \"transparent\", and listener.fast_open, of "
                                "what listens on {},",
                                at.text()),
                    "its socket is open"));
      }
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
  if (wants_kernel(running) != wants_kernel(wanted))
    sentences.push_back(
        changed("whether anything is intercepted, or goes on in its client's name,", "its table is laid at the start"));
  add_changed_listeners(running, wanted, sentences);
  if (is_logged(running) != is_logged(wanted))
    sentences.push_back(changed("log.access, from \"off\" or to it,", "its pipes are laid at the start"));
  return sentences;
}

}  // namespace limpid
