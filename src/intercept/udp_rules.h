// SPDX-License-Identifier: MIT
// The rules for datagrams. A flow's requests are taken by port; its answers by what its requests have taught the set
// @answers, so that whatever else goes to a client is forwarded as it always was. Flows that were handed over are in
// @direct, and never reach us. Pure.
#pragma once
#include "intercept/rule_words.h"

namespace limpid::rules {

// @take_udp, @answers and @direct, and the chains "udp_from_clients", "udp_from_here" and "udp_answers".
void add_udp(const Plan& plan, const Conditions& conditions, Table& table);
[[nodiscard]] Set take_udp_set(const Plan& plan, const Conditions& conditions);
// What is asked of a datagram that might be taken.
void add_questions(const Plan& plan, Lines& rules);
// Fragments are left alone where they are not put together yet.
void add_whole_only(Lines& rules);
// What the kernel is to forward by itself.
void add_direct(const Plan& plan, const Conditions& conditions, Lines& rules);
// This machine's own datagrams; jumped to from the chain "local".
[[nodiscard]] Chain local_udp_chain(const Plan& plan, const Conditions& conditions);

// Fills @take_udp, or empties it and forgets whose answers were ours.
[[nodiscard]] std::string retake_udp(const Plan& plan, bool taking);

}  // namespace limpid::rules
