// SPDX-License-Identifier: MIT
// All settings and their defaults (limpid.toml(5)). Values only: parse.h fills them, check.h judges them.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/listener.h"
#include "policy/rule.h"

namespace limpid {

enum class WithoutUs { open, closed };    // what happens to a connection when nobody is there to take it
enum class KeepPort { prefer, require };  // what to do when the client's port cannot be had
enum class Handover { automatic, off };   // UDP flows that go direct are left to the kernel, or relayed
enum class LogLevel { debug, info, warning, error };

struct Intercept {
  std::vector<std::string> interfaces;  // names, may end in '*'; need not exist yet
  std::vector<PortRange> tcp;           // destination ports
  std::vector<PortRange> udp;           // likewise
  bool local = false;
  std::vector<Prefix> bypass;       // destinations never taken
  std::vector<Prefix> bypass_from;  // clients never taken
  WithoutUs without_us = WithoutUs::open;
  Mark mark{0x10000000, 0x10000000};
  Mark local_mark{0x20000000, 0x20000000};
  Mark own_mark{0x40000000, 0x40000000};
  std::uint32_t table = 5300;
  std::uint32_t priority = 100;  // of the fib rules: priority - 1 to priority + 1 are used
  // Connections or datagrams are taken that were not addressed to this machine's listeners.
  [[nodiscard]] bool is_wanted() const { return !interfaces.empty() || local; }
  bool operator==(const Intercept&) const = default;
};

struct Transparency {
  Source source = Source::client;
  KeepPort keep_port = KeepPort::prefer;
  Handover handover = Handover::automatic;
  bool operator==(const Transparency&) const = default;
};

struct Limits {
  std::uint64_t sessions = 0;  // 0: as many as the file descriptors allow
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(10);
  std::chrono::milliseconds identify_timeout = std::chrono::milliseconds(300);
  std::chrono::milliseconds idle_timeout = std::chrono::hours(2);
  std::chrono::milliseconds half_closed_timeout = std::chrono::minutes(10);
  std::chrono::milliseconds drain_timeout = std::chrono::seconds(30);
  std::uint64_t udp_flows = 65536;                                          // relayed at a time
  std::uint64_t udp_flows_per_client = 8192;                                // likewise, of one address
  std::chrono::milliseconds unanswered_timeout = std::chrono::seconds(30);  // of a UDP flow
  std::chrono::milliseconds answered_timeout = std::chrono::seconds(180);   // RFC 4787 wants 120 s at least
  std::chrono::milliseconds verify_host_grace = std::chrono::minutes(1);    // an address is good for, beyond its TTL
  bool operator==(const Limits&) const = default;
};

struct Log {
  LogLevel level = LogLevel::info;
  std::string access = "stdout";  // a path, "stdout" or "off"
  bool operator==(const Log&) const = default;
};

struct Process {
  std::string user = "limpid";  // the worker's; where it does not exist: a fixed uid that no account has
  bool operator==(const Process&) const = default;
};

struct Config {
  Intercept intercept;
  Transparency transparency;
  Limits limits;
  Log log;
  Process process;
  std::vector<Upstream> upstreams;
  std::vector<Rule> rules;  // the first that matches decides
  std::vector<ListenerSettings> listeners;
  bool operator==(const Config&) const = default;
};

}  // namespace limpid
