// SPDX-License-Identifier: MIT
// What becomes of a packet on this machine, told in order. The rules are followed in a copy of the machine (replica.h),
// the route and the sockets are asked for here: nothing is sent, nothing changes.
#pragma once
#include <string>
#include <vector>

#include "doctor/packet_question.h"

namespace limpid {

enum class Taker {
  limpid,
  another,  // a tproxy rule of somebody else's
  here,     // a service of this machine's
  onward,   // forwarded, or sent
  nobody,   // dropped, refused, or sent where nobody is
};

struct Explanation {
  std::vector<std::string> lines;  // the last says who gets it, and why
  Taker taker = Taker::nobody;
  bool met_the_users_rules = false;  // those that the kernel decides for limpid
};

// As the first packet of a new flow. From the network namespace of the calling thread, which must be the only one.
// Root.
[[nodiscard]] Result<Explanation> explain(const PacketQuestion& packet);

}  // namespace limpid
