// SPDX-License-Identifier: MIT
// The rules for connections that this machine itself opens (`local = true`), and for what its servers answer to clients
// whose address we have borrowed: marked on the way out, which routes them to lo and back in. Pure.
#pragma once
#include "intercept/rule_words.h"

namespace limpid::rules {

// The chains, and the sets @taken and @closing that remember which connections were taken.
void add_local_chains(const Plan& plan, const Conditions& conditions, Table& table);

}  // namespace limpid::rules
