// SPDX-License-Identifier: MIT
// The rules for a proxy that is not ours, where they differ from those for limpid's own sockets: its sockets carry no
// mark, so that they are known by IP_TRANSPARENT and by not standing on the wildcard address (docs/kernel.md, F38).
// Pure.
#pragma once
#include "intercept/rule_words.h"

namespace limpid::rules {

// What another set-up has taken already stays its own: first come, first served.
void leave_what_is_taken(const Plan& plan, Lines& rules);

// Connections of the proxy's, their handshakes, what is left of them, and ICMP errors about them. With one hook, also
// answers to those that it has opened with its client's address.
void add_foreign_sessions(const Plan& plan, const Conditions& conditions, Lines& rules);
// The chain "last_ack", for that to jump to.
[[nodiscard]] Chain last_ack_chain(const Plan& plan, const Conditions& conditions);
// Such answers, behind a hook of their own.
void add_foreign_answers(const Plan& plan, Lines& rules);
// @take_udp, and the chains "udp_from_clients", "udp_from_here" and "udp_answers".
void add_foreign_udp(const Plan& plan, const Conditions& conditions, Table& table);
// What the proxy sends to clients belongs to their zone.
[[nodiscard]] Chain foreign_zone_chain(const Plan& plan);

}  // namespace limpid::rules
