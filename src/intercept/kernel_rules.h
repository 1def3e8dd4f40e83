// SPDX-License-Identifier: MIT
// Which of the user's rules the kernel can decide by itself, and how: what they say `direct`, `reject` or `drop` about
// never reaches us. Pure.
#pragma once
#include <cstdint>
#include <vector>

#include "policy/rule.h"

namespace limpid {

enum class Verdict : std::uint8_t {
  pass,  // on its way, as if limpid were not there
  reject,
  drop,
  take,  // ours, whatever the rules behind this one say
};

// In their order; what is empty matches every flow. The first that matches decides; none: it is taken.
struct KernelRule {
  std::vector<Prefix> from, to;
  std::vector<PortRange> port;
  Verdict verdict = Verdict::take;
  bool operator==(const KernelRule&) const = default;
};

struct KernelRules {
  std::vector<KernelRule> tcp, udp;
  std::vector<bool>
      decides;  // of each of the user's rules: the kernel decides whatever it matches, as far as it is reached
  bool watches_dns = false;  // a rule verifies hosts: what goes to port 53 is ours, whatever the rules say
  bool operator==(const KernelRules&) const = default;
};

// A packet walks through them one by one, so that there are only so many; the rules behind are for us to decide.
inline constexpr std::size_t most_kernel_rules = 64;

[[nodiscard]] KernelRules kernel_rules(const std::vector<Rule>& rules);

}  // namespace limpid
