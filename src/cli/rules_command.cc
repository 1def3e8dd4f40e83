// SPDX-License-Identifier: MIT
#include "cli/rules_command.h"

#include <cstdio>
#include <utility>

#include "base/ascii.h"
#include "cli/rules_verbs.h"
#include "cli/verbs.h"
#include "daemon/own_cgroup.h"

namespace limpid {
namespace {

// own_mark is what limpid's own sockets have; a foreign proxy's have none.
bool is_of_rules(const Key& key) { return key.path.starts_with("intercept.") && key.path != "intercept.own_mark"; }

// Local connections need to know whose are the proxy's own, lest it be its own client.
ConfigErrors missing_user() {
  return {{.place = {.name = "--user"},
           .message =
               "--local needs to know whose connections are the proxy's own: name the user it runs as, --user NAME, "
               "whom nobody else shares"}};
}

// With the request, if there is one; else its errors.
template <class Verb>
int with_request(const RulesOptions& options, Verb verb) {
  const std::expected<RulesRequest, ConfigErrors> request = rules_request(options);
  if (request) return verb(*request);
  print_errors(request.error());
  return exit_usage;
}

template <class Verb>
int with_user(const RulesOptions& options, Verb verb) {
  return with_request(options, [&](const RulesRequest& request) {
    if (!request.plan.settings.local || request.plan.worker_uid) return verb(request);
    print_errors(missing_user());
    return exit_usage;
  });
}

// Of this process, if it is its own: then the proxy's as well, which it starts.
std::optional<Cgroup> own_cgroup() {
  Result<Nft> nft = Nft::open();
  return nft ? find_own_cgroup(*nft) : std::nullopt;
}

// What --name says where nobody says it: the command's own name, as far as it may be one.
std::string name_of(const std::vector<std::string>& command) {
  if (command.empty()) return "proxy";
  const std::string& path = command.front();
  std::string name;
  for (const char byte : path.substr(path.rfind('/') + 1)) {
    name += is_letter(byte) || is_digit(byte) || byte == '-' ? byte : '_';
  }
  return name.substr(0, longest_rules_name);
}

// What print, hold and install have in common.
RulesOptions& add_set_up(CLI::App& verb, RulesOptions& options) {
  verb.add_option("--port", options.port, "The port that the proxy listens on, over TCP and UDP")->type_name("PORT");
  verb.add_option("--listen", options.listen, "Its address, if it listens on one that is not a loopback address")
      ->type_name("ADDRESS")
      ->delimiter(',');
  verb.add_flag("--ipv4,!--no-ipv4", options.ipv4, "Take connections of IPv4 (on)");
  verb.add_flag("--ipv6,!--no-ipv6", options.ipv6, "Take connections of IPv6 (on)");
  verb.add_option("--user", options.user, "The user that the proxy runs as, whose own connections --local never takes")
      ->type_name("USER");
  options.keys.add_to(verb, is_of_rules);
  return options;
}

}  // namespace

RulesCommand::RulesCommand(CLI::App& rules)
    : print_(*rules.add_subcommand("print", "Print the kernel state, for review or to be loaded by hand")),
      hold_(*rules.add_subcommand("hold", "Install it while a command runs, or until SIGTERM")),
      install_(*rules.add_subcommand("install", "Install it to stay, under a name")),
      remove_(*rules.add_subcommand("remove", "Remove what is there under a name")),
      list_(*rules.add_subcommand("list", "List what is there")) {
  rules.require_subcommand(1);
  RulesOptions& print = add_set_up(print_, print_options_);
  print_.add_option("--name", print.name, "What the tables are called after")->type_name("NAME")->capture_default_str();
  print_.add_option("--backend", print.backend, "nft or iptables")->type_name("BACKEND")->capture_default_str();
  print_.add_option("--format", print.format, "shell, json, or what the backend reads: nft or iptables")
      ->type_name("FORMAT")
      ->capture_default_str();
  print_.add_flag("--conntrack", print.conntrack, "For a machine that uses conntrack: masquerade, a stateful firewall");

  RulesOptions& hold = add_set_up(hold_, hold_options_);
  hold.name.clear();
  hold_.add_option("--name", hold.name, "What the tables are called after (the command's name)")->type_name("NAME");
  hold_.add_option("--start-timeout", hold.start_timeout, "How long it may take until the proxy listens")
      ->type_name("TIME")
      ->capture_default_str();
  hold_.footer("Behind two dashes: the proxy, and its arguments.");

  add_set_up(install_, install_options_);
  install_.add_option("name", install_options_.name, "What the tables are called after")->required();
  remove_.add_option("name", removed_, "Of the set-up")->required();
  list_.add_flag("--json", json_, "As JSON");
}

int RulesCommand::run(std::vector<std::string> command) {
  if (!command.empty() && !hold_) {
    std::fprintf(stderr, "limpid: \"%s\": only `rules hold` runs a command\n", command.front().c_str());
    return exit_usage;
  }
  hold_options_.command = std::move(command);
  if (print_)
    return with_user(print_options_, [&](const RulesRequest& request) {
      return rules_print_verb(
          request,
          {.backend = print_options_.backend, .format = print_options_.format, .conntrack = print_options_.conntrack});
    });
  if (hold_) {
    if (hold_options_.name.empty()) hold_options_.name = name_of(hold_options_.command);
    return with_request(hold_options_, [&](RulesRequest request) {
      if (request.plan.settings.local) request.plan.cgroup = own_cgroup();
      if (!request.plan.settings.local || request.plan.worker_uid || request.plan.cgroup)
        return rules_hold_verb(request, hold_options_.command);
      print_errors(missing_user());
      return exit_usage;
    });
  }
  if (install_) return with_user(install_options_, rules_install_verb);
  if (remove_) return rules_remove_verb(removed_);
  return rules_list_verb(json_);
}

}  // namespace limpid
