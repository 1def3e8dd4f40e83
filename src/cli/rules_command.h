// SPDX-License-Identifier: MIT
// `limpid rules` on the command line: its options, and the plan that they ask for.
#pragma once
#include <CLI/App.hpp>
#include <chrono>
#include <deque>
#include <expected>
#include <string>
#include <vector>

#include "cli/key_options.h"
#include "config/source.h"
#include "intercept/rules_instances.h"

namespace limpid {

// The options that describe a set-up, as they were typed.
struct RulesOptions {
  std::string name = "proxy";
  std::string port;
  std::vector<std::string> listen;  // addresses, one a family
  bool ipv4 = true, ipv6 = true;
  std::string user;        // a name or a number; empty: none
  bool conntrack = false;  // of `print`: it is in use
  std::string backend = "nft", format = "shell";
  std::string start_timeout = "30s";
  std::vector<std::string> command;
  KeyOptions keys;
};

// What they ask for, checked; the numbers are still to be chosen.
struct RulesRequest {
  Plan plan;
  GivenNumbers given;
  std::chrono::milliseconds start_timeout{};
};
[[nodiscard]] std::expected<RulesRequest, ConfigErrors> rules_request(const RulesOptions& options);

class RulesCommand {
 public:
  explicit RulesCommand(CLI::App& rules);
  [[nodiscard]] int run(
      std::vector<std::string> command);  // once the command line has been parsed: the exit status (cli/verbs.h)

 private:
  CLI::App &print_, &hold_, &install_, &remove_, &list_;
  RulesOptions print_options_, hold_options_, install_options_;
  std::string removed_;
  bool json_ = false;
};

}  // namespace limpid
