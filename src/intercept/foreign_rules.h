// SPDX-License-Identifier: MIT
// The rules for a proxy that is not ours, where they differ from those for limpid's own sockets: its sockets carry no
// mark, so that they are known by IP_TRANSPARENT and by not standing on the wildcard address (docs/kernel.md, F35).
// Pure.
#pragma once
#include "intercept/rule_words.h"

namespace limpid::rules {

// What another set-up has taken already stays its own: first come, first served.
void leave_what_is_taken(const Plan& plan, Lines& rules);

// The chain "from_clients": their packets, but for datagrams.
void add_foreign_from_clients(const Plan& plan, const Conditions& conditions, Table& table);
// Answers to connections that the proxy has opened with its client's address.
[[nodiscard]] Lines foreign_servers_rules(const Plan& plan);
// @take_udp, and the chains "udp_from_clients", "udp_from_here" and "udp_answers".
void add_foreign_udp(const Plan& plan, const Conditions& conditions, Table& table);
// What the proxy sends to clients belongs to their zone.
[[nodiscard]] Chain foreign_zone_chain();

}  // namespace limpid::rules
