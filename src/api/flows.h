// SPDX-License-Identifier: MIT
// The UDP flows that the kernel forwards by itself, as JSON and for people.
#pragma once
#include <span>
#include <string>

#include "base/result.h"
#include "proxy/udp_relay.h"

namespace limpid {

[[nodiscard]] std::string flows_to_json(std::span<const FlowAccount> flows);  // one line
// That JSON as lines for a terminal; an Error if it is not that.
[[nodiscard]] Result<std::string> flows_for_people(const std::string& json);

}  // namespace limpid
