// SPDX-License-Identifier: MIT
// The verbs of the command line, one small file each. All return the exit status: 0; 1: the world refused, and one line
// on standard error says what and what to do; 2: wrong usage or configuration.
#pragma once
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "cli/redirect.h"
#include "config/config.h"
#include "config/source.h"

namespace limpid {

inline constexpr int exit_refused = 1;
inline constexpr int exit_usage = 2;

// On standard error, a line each. Those with a place begin with it, as editors and people expect.
inline void print_errors(const ConfigErrors& errors) {
  for (const ConfigError& error : errors)
    std::fprintf(stderr, "%s%s\n", error.place.name.empty() ? "limpid: " : "", error.text().c_str());
}

// Says it on standard error, and returns the status.
[[nodiscard]] int refuse(const Error& error, int status = exit_refused);

// Prints the kernel state that `run` would install. Touches nothing.
[[nodiscard]] int check_verb(const Config& config);

// Prints which rule would decide about a flow, and why those before it would not. Needs no running limpid.
struct DecideOptions {
  std::string client;         // "10.1.2.3:5000"
  std::string to;             // likewise
  std::string host;           // may be empty
  std::string app;            // likewise
  std::string proto = "tcp";  // or "udp"
};
[[nodiscard]] int decide_verb(const Config& config, const DecideOptions& options);

// Looks for everything that has an interception fail without a word, and changes nothing. `config`: what to judge;
// nothing: the limpid that runs, or what any set-up needs. Refused (1) where something is broken. `probes`: sends
// packets of its own as well, for which the machine gets two interfaces meanwhile.
struct DoctorOptions {
  bool as_json = false;
  bool probes = false;
};
[[nodiscard]] int doctor_verb(const std::optional<Config>& config, const std::string& control_socket,
                              const DoctorOptions& options);

// Tells what becomes of a packet ("tcp 10.1.0.2:5000 -> 203.0.113.9:443 on lan0"), and which rule of the policy decides
// where limpid gets it. `config`: whose policy; nothing: of the limpid that runs. `claim`: host and app alone are used.
[[nodiscard]] int explain_verb(const std::optional<Config>& config, const std::string& control_socket,
                               const std::string& packet, const DecideOptions& claim);

// Sends what comes to one port on to another place. `control_socket` may be empty: none.
[[nodiscard]] int redirect_verb(const RedirectOptions& options, const std::string& control_socket);

// Becomes a program whose sockets may stand at addresses that are not this machine's; returns only if that is refused,
// with a status of env(1)'s.
struct ExecOptions {
  std::optional<std::string> source;  // "192.0.2.1:5000"
  bool bind_any = false;              // so it is without a source, too
  std::vector<std::string> command;   // the program and its arguments
};
[[nodiscard]] int exec_verb(const ExecOptions& options);

[[nodiscard]] int status_verb(const std::string& control_socket, bool as_json);

// Has the running limpid read its configuration again; whatever is wrong with it is told, and nothing changes then.
// `enforce`: what the new policy would not have let go where it goes ends.
[[nodiscard]] int reload_verb(const std::string& control_socket, bool enforce);

// The UDP flows that the kernel forwards by itself; or takes those back that a filter means (policy/flow_filter.h).
[[nodiscard]] int flows_verb(const std::string& control_socket, bool as_json,
                             const std::optional<std::string>& take_back);

// Asks the limpid that runs to take everything back; without one, removes what a dead one left.
[[nodiscard]] int withdraw_verb(const std::string& control_socket, const Config& config);

}  // namespace limpid
