// SPDX-License-Identifier: MIT
// What `limpid doctor` knows of this machine: read by look.h, judged by checks.h. A value. What could not be looked at
// says why, and is never taken for "nothing there".
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "intercept/arrivals.h"
#include "intercept/fib.h"
#include "intercept/judge.h"
#include "intercept/survey.h"
#include "net/links.h"
#include "net/sock_diag.h"

namespace limpid {

// Something that the kernel must be able to do, and whether it did.
struct Feature {
  std::string name;
  std::string without;  // what does not work then
  Result<> works;
};

struct RouteAnswer {
  Fib::Query question;
  Result<Fib::Way> way;
};

struct Machine {
  // limpid's own: the file that was named, or of the one that runs. Nothing: neither.
  std::optional<Config> config;
  bool is_running = false;
  Result<> asked{};                     // a refusal: there may be one that we may not ask
  std::string state{};                  // as `limpid status` has it
  std::vector<std::string> degraded{};  // likewise
  bool has_other_config = false;        // the one that runs has another than the file that was named
  bool is_owned = false;                // a limpid owns `table inet limpid` here, whether we reach it or not

  Result<std::vector<Feature>> features;
  std::uint64_t capabilities = 0;  // those that root has here: a bit each, by number (capabilities(7))
  bool is_root = false;
  std::uint64_t descriptors = 0;  // a process may have (RLIMIT_NOFILE, hard)
  std::uint64_t budget = 0;       // sessions that fit into them

  Result<Survey> survey;                 // of limpid's configuration, or of the defaults
  Result<std::vector<NftChain>> chains;  // everybody's, limpid's too
  std::vector<FibRule> fib_rules;        // both families, by priority
  std::vector<WaitingSocket> sockets;
  std::vector<Link> links;
  std::vector<Arrival> arrivals;
  std::vector<std::string> leftovers;             // of a dead limpid, as ip(8) and nft(8) have them
  bool has_guard = false;                         // among them is the table that refuses connections
  bool has_foreign_table = false;                 // `table inet limpid` is there and is not limpid's
  std::map<std::string, std::string> settings{};  // sysctls: "ipv4/ip_forward" -> "1"
  std::vector<RouteAnswer> routes{};              // to route_questions() of all that

  // An empty one where the kernel has no such sysctl.
  [[nodiscard]] std::string setting(const std::string& key) const {
    const auto found = settings.find(key);
    return found == settings.end() ? "" : found->second;
  }
  // Of all interfaces or of this one, whichever is greater, as the kernel has it for rp_filter and src_valid_mark.
  [[nodiscard]] int setting_of(const std::string& interface, const std::string& name) const;
};

}  // namespace limpid
