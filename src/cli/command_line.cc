// SPDX-License-Identifier: MIT
#include "cli/command_line.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>
#include <optional>

#include "api/control.h"
#include "cli/demo.h"
#include "cli/key_options.h"
#include "cli/rules_command.h"
#include "cli/verbs.h"
#include "config/load.h"
#include "daemon/supervisor.h"
#include "daemon/watcher_process.h"
#include "daemon/worker_process.h"

namespace limpid {
namespace {

struct CommandLine {
  std::string config_file;
  std::string control_socket = default_control_socket;
  bool json = false;
  bool enforce = false;
  std::string take_back;
  std::string packet;
  DoctorOptions doctor;
  DecideOptions flow;
  RedirectOptions redirect;
  ExecOptions exec;
  KeyOptions keys;
};

void add_config_file(CLI::App& verb, CommandLine& line) {
  verb.add_option("--config", line.config_file, "Read the configuration from this file (limpid.toml(5))")
      ->type_name("FILE");
}

void add_control_socket(CLI::App& verb, CommandLine& line) {
  verb.add_option("--socket", line.control_socket, "The control socket")->type_name("PATH")->capture_default_str();
}

void add_keys(CLI::App& verb, CommandLine& line) {
  line.keys.add_to(verb, [](const Key&) { return true; });
}

// What the first bytes of a flow would say.
void add_claim(CLI::App& verb, DecideOptions& flow) {
  verb.add_option("--host", flow.host, "The host that it names in TLS, HTTP or QUIC")->type_name("NAME");
  verb.add_option("--app", flow.app, "What it speaks: tls, http, quic, ssh or unknown")->type_name("NAME");
}

// As tcprdr(1) has them.
void add_redirect(CLI::App& verb, CommandLine& line) {
  RedirectOptions& options = line.redirect;
  line.control_socket.clear();
  CLI::Option& ipv4 = *verb.add_flag("-4", options.ipv4, "IPv4 alone, on both sides");
  verb.add_flag("-6", options.ipv6, "IPv6 alone, on both sides")->excludes(&ipv4);
  verb.add_flag("-f", options.fast_open, "TCP Fast Open, on both sides");
  verb.add_flag("-l", options.loop, "Go on after the first connection");
  verb.add_flag("-t", options.transparent, "Take also what TPROXY rules of yours lead here");
  verb.add_flag("-T", options.as_client, "Connect from the client's address and port");
  verb.add_option("-L", options.listen_address, "Listen on this address alone")->type_name("ADDRESS");
  verb.add_option("--socket", line.control_socket, "A control socket; none unless given")->type_name("PATH");
  verb.add_option("localport", options.local_port, "The port to listen on")->required();
  verb.add_option("host", options.host, "Whom to connect to")->required();
  verb.add_option("remoteport", options.remote_port, "Its port, if it is another");
}

// The configuration of file and command line.
std::expected<Config, ConfigErrors> load(const CommandLine& line) {
  return load_config(line.config_file.empty() ? std::nullopt : std::optional(line.config_file), line.keys.overrides());
}

// Nothing, and every error on standard error, if there are any.
std::optional<Config> read_config(const CommandLine& line) {
  const std::expected<Config, ConfigErrors> config = load(line);
  if (config) return *config;
  print_errors(config.error());
  return std::nullopt;
}

template <class Verb>
int with_config(const CommandLine& line, Verb verb) {
  const std::optional<Config> config = read_config(line);
  return config ? verb(*config) : exit_usage;
}

// `withdraw` works without a file: the default marks then. With one, what it intercepts does not matter but must be
// right.
int withdraw(const CommandLine& line) {
  if (line.config_file.empty()) return withdraw_verb(line.control_socket, Config{});
  return with_config(line, [&](const Config& config) { return withdraw_verb(line.control_socket, config); });
}

// The words behind "--" are a program's, none of ours: CLI11 would take brackets and lists in them apart. Returns how
// many are left.
int cut_command_off(int argc, char** argv, std::vector<std::string>& command) {
  char** const end = argv + argc;
  char** const dashes = std::find(argv, end, std::string_view("--"));
  if (dashes == end) return argc;
  command.assign(dashes + 1, end);
  return static_cast<int>(dashes - argv);
}

// With the file's configuration, or none: then it is that of the limpid that runs.
template <class Verb>
int with_file(const CommandLine& line, Verb verb) {
  if (line.config_file.empty()) return verb(std::nullopt);
  return with_config(line, [&](const Config& config) { return verb(std::optional(config)); });
}

}  // namespace

int run_command_line(int argc, char** argv) {
  std::vector<std::string> command;
  if (argc > 1 && (argv[1] == std::string_view("exec") || argv[1] == std::string_view("rules")))
    argc = cut_command_off(argc, argv, command);
  CLI::App app(
      "A transparent proxy for Linux: it takes connections and datagrams that were never addressed to it, serves them, "
      "and neither "
      "end "
      "can tell.",
      "limpid");
  app.set_version_flag("--version", LIMPID_VERSION);
  app.require_subcommand(1);
  CommandLine run_line, check_line, decide_line, status_line, reload_line, flows_line, withdraw_line, redirect_line,
      exec_line, doctor_line, explain_line;

  CLI::App& run = *app.add_subcommand("run", "Intercept and serve, in the foreground, until SIGTERM");
  add_config_file(run, run_line);
  add_control_socket(run, run_line);
  add_keys(run, run_line);
  CLI::App& check = *app.add_subcommand("check", "Judge the configuration; print the kernel state `run` would install");
  add_config_file(check, check_line);
  add_keys(check, check_line);
  CLI::App& decide = *app.add_subcommand("decide", "Tell which rule would decide about a flow, and why");
  add_config_file(decide, decide_line);
  decide.add_option("--client", decide_line.flow.client, "Who opens it")->type_name("ADDRESS:PORT")->required();
  decide.add_option("--to", decide_line.flow.to, "Where to")->type_name("ADDRESS:PORT")->required();
  add_claim(decide, decide_line.flow);
  decide.add_option("--proto", decide_line.flow.proto, "tcp or udp")->type_name("NAME")->capture_default_str();
  add_keys(decide, decide_line);
  CLI::App& status = *app.add_subcommand("status", "Tell what the running limpid does");
  add_control_socket(status, status_line);
  status.add_flag("--json", status_line.json, "As JSON");
  CLI::App& reload = *app.add_subcommand("reload", "Have the running limpid read its configuration again");
  add_control_socket(reload, reload_line);
  reload.add_flag("--enforce", reload_line.enforce,
                  "End sessions and flows that the new rules would not have let go where they go");
  CLI::App& flows = *app.add_subcommand("flows", "List the UDP flows that the kernel forwards by itself");
  add_control_socket(flows, flows_line);
  flows.add_flag("--json", flows_line.json, "As JSON");
  const CLI::Option& take_back =
      *flows
           .add_option("--take-back", flows_line.take_back,
                       "Relay these again: all, or client=PREFIX, destination=PREFIX and port=PORTS with commas")
           ->type_name("FILTER");
  CLI::App& withdraw_it =
      *app.add_subcommand("withdraw", "Take everything back: end the running limpid, or clean up after a dead one");
  add_config_file(withdraw_it, withdraw_line);
  add_control_socket(withdraw_it, withdraw_line);
  CLI::App& doctor = *app.add_subcommand("doctor", "Look for what has an interception fail without a word");
  add_config_file(doctor, doctor_line);
  add_control_socket(doctor, doctor_line);
  doctor.add_flag("--json", doctor_line.doctor.as_json, "As JSON");
  doctor.add_flag("--probe", doctor_line.doctor.probes, "Also send connections and datagrams of its own");
  CLI::App& explain_it = *app.add_subcommand("explain", "Tell what becomes of a packet, rule by rule, sending none");
  add_config_file(explain_it, explain_line);
  add_control_socket(explain_it, explain_line);
  explain_it.add_option("packet", explain_line.packet, "'tcp CLIENT:PORT -> DESTINATION:PORT on INTERFACE'")
      ->required();
  add_claim(explain_it, explain_line.flow);
  CLI::App& redirect = *app.add_subcommand("redirect", "Send what comes to a port on to another place, as tcprdr does");
  add_redirect(redirect, redirect_line);
  CLI::App& exec = *app.add_subcommand("exec", "Run a program whose sockets may stand at anybody's addresses");
  exec.footer("Behind two dashes: the program, and its arguments.");
  exec.add_option("--source", exec_line.exec.source, "What it has not bound leaves from there")
      ->type_name("ADDRESS[:PORT]");
  exec.add_flag("--bind-any", exec_line.exec.bind_any,
                "It may bind any address, and TPROXY rules may lead to it; so it is without --source, too");
  CLI::App& rules = *app.add_subcommand("rules", "Set the kernel up for a transparent proxy that is not limpid");
  RulesCommand rules_command(rules);
  CLI::App& demo = *app.add_subcommand("demo", "Show it all on real traffic, in network namespaces of its own");
  CLI::App& worker = *app.add_subcommand("worker", "")->group("");    // started by `run` alone
  CLI::App& watcher = *app.add_subcommand("watcher", "")->group("");  // likewise

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }
  if (run)
    return with_config(run_line, [&](const Config& config) {
      return run_supervisor(
          {.config = config, .control_socket = run_line.control_socket, .load = [&] { return load(run_line); }});
    });
  if (check) return with_config(check_line, check_verb);
  if (decide)
    return with_config(decide_line, [&](const Config& config) { return decide_verb(config, decide_line.flow); });
  if (status) return status_verb(status_line.control_socket, status_line.json);
  if (reload) return reload_verb(reload_line.control_socket, reload_line.enforce);
  if (flows)
    return flows_verb(flows_line.control_socket, flows_line.json,
                      take_back.count() > 0 ? std::optional(flows_line.take_back) : std::nullopt);
  if (withdraw_it) return withdraw(withdraw_line);
  if (doctor)
    return with_file(doctor_line, [&](const std::optional<Config>& config) {
      return doctor_verb(config, doctor_line.control_socket, doctor_line.doctor);
    });
  if (explain_it)
    return with_file(explain_line, [&](const std::optional<Config>& config) {
      return explain_verb(config, explain_line.control_socket, explain_line.packet, explain_line.flow);
    });
  if (redirect) return redirect_verb(redirect_line.redirect, redirect_line.control_socket);
  if (exec) {
    exec_line.exec.command = std::move(command);
    return exec_verb(exec_line.exec);
  }
  if (rules) return rules_command.run(std::move(command));
  if (demo) return run_demo({});
  if (worker) return run_worker();
  if (watcher) return run_watcher();
  return exit_usage;
}

}  // namespace limpid
