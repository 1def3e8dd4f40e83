// SPDX-License-Identifier: MIT
// Looks at the machine without changing it: what stands in our way, and what decides the Conditions. Reading only; the
// judgements are in judge.h. Look again whenever KernelEvents speak, and every few seconds (SYN cookies announce
// nothing).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "intercept/nft.h"
#include "intercept/plan.h"

namespace limpid {

// A sentence, with what to do; `about` is its section in docs/guide/troubleshooting.md.
struct Remark {
  std::string_view about;
  std::string sentence;
  bool operator==(const Remark&) const = default;
};

struct Survey {
  std::vector<Remark> conflicts;           // we must not start: who holds what, and which key to change
  std::vector<Remark> degraded;            // we may, but
  bool conntrack = false;                  // in use by others: their rules say so, or it was on at the first look
  bool bridge = false;                     // one that hands its packets to iptables
  std::vector<std::string> forward_drops;  // chains that may drop UDP flows left to the kernel: a sentence each
  bool cookies = false;                    // SYN cookies: always on, or sent since the first look
  bool filters = false;                    // somebody has chains of the forward hook, or legacy iptables

  [[nodiscard]] Conditions conditions(bool taking) const {
    return {.taking = taking, .zones = conntrack, .early = bridge, .cookies = cookies, .filters = filters};
  }
  bool operator==(const Survey&) const = default;
};

class Surveyor {
 public:
  [[nodiscard]] static Result<Surveyor> open();  // of the calling thread's network namespace

  // `current`: what is installed now. With zones of ours the kernel tracks connections on our account, and goes on
  // counting them when the zones are gone: after the first look only rules tell whether others want it.
  [[nodiscard]] Result<Survey> look(const Plan& plan, const Conditions& current);

 private:
  explicit Surveyor(Nft nft) : nft_(std::move(nft)) {}

  Nft nft_;
  std::optional<bool> tracked_at_first_;           // connections were tracked
  std::optional<std::uint64_t> cookies_at_first_;  // TcpExt SyncookiesSent
};

}  // namespace limpid
