// SPDX-License-Identifier: MIT
#include "doctor/probe.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <iterator>
#include <optional>

#include "doctor/probe_lab.h"
#include "doctor/steering.h"
#include "net/socket.h"

namespace limpid {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

constexpr std::string_view probe_id = "probe";
constexpr std::string_view probe_why = "What rules and routes say and what becomes of a packet may differ.";
constexpr std::chrono::seconds patience_a_probe(4);
constexpr std::chrono::milliseconds ask_again(250);  // a datagram that nobody has answered
constexpr std::string_view question = "limpid?", answer = "limpid!";

// What is sent: from where, and to which port.
struct Attempt {
  Protocol proto;
  int family;
  bool is_local;
  std::uint16_t port;

  [[nodiscard]] std::string name() const {
    return fmt::format("{} over {}, {}, to port {}", proto == Protocol::tcp ? "a connection" : "a datagram",
                       family_name(family), is_local ? "from this machine" : "forwarded", port);
  }
};

struct Outcome {
  bool was_taken = false;  // a socket on this machine stands for the server
  bool was_taken_by_limpid = false;
  std::optional<Endpoint> seen{};  // by the server, of the client
  bool was_answered = false;
  std::string refusal{};  // "Connection refused", or what could not even be tried
};

bool is_ready(int fd, short events, std::chrono::milliseconds patience) {
  pollfd waiting{fd, events, 0};
  return ::poll(&waiting, 1, static_cast<int>(patience.count())) > 0;
}

std::chrono::milliseconds left(Deadline until) {
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()),
                  std::chrono::milliseconds(0));
}

// In that namespace, bound to that address.
Result<Fd> bound_in(const NetworkNamespace& where, Protocol proto, const Endpoint& at) {
  const NetworkNamespace::Inside inside(where);
  if (proto == Protocol::tcp && at.port != 0) return listen_as_service(at, {});
  const int type = (proto == Protocol::tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
  Fd fd(::socket(at.family(), type, 0));
  if (!fd.is_open()) return errno_failure("socket", errno);
  if (const int refusal = bind_to(fd.raw(), at)) return errno_failure("bind " + at.text(), refusal);
  return fd;
}

Endpoint server_of(const Attempt& attempt) { return {ProbeLab::server_address(attempt.family), attempt.port}; }

// The sockets of an attempt, before anything is sent.
struct Ends {
  Fd server, client;
};
Result<Ends> ends_of(const ProbeLab& lab, const Attempt& attempt) {
  Result<Fd> server = bound_in(lab.server(), attempt.proto, server_of(attempt));
  if (!server) return std::unexpected(server.error());
  const Address from = attempt.is_local ? Address::any(attempt.family) : ProbeLab::client_address(attempt.family);
  Result<Fd> client = bound_in(attempt.is_local ? lab.here() : lab.client(), attempt.proto, {from, 0});
  if (!client) return std::unexpected(client.error());
  return Ends{*std::move(server), *std::move(client)};
}

// Is there a socket of this machine's that stands for the server? Limpid's carries its mark.
void look_for_taker(const ProbeLab& lab, const Endpoint& client, const Endpoint& server, Mark own, Outcome& outcome) {
  const NetworkNamespace::Inside inside(lab.here());
  const auto sockets = tcp_sockets({});
  if (!sockets) return;
  for (const TcpSocket& socket : *sockets)
    if (socket.local == server && socket.remote == client) {
      outcome.was_taken = true;
      outcome.was_taken_by_limpid = (socket.mark & own.mask) == own.bits;
    }
}

void try_connection(const ProbeLab& lab, const Attempt& attempt, Mark own, Outcome& outcome) {
  const Result<Ends> ends = ends_of(lab, attempt);
  if (!ends) return void(outcome.refusal = ends.error().what);
  const Fd &listener = ends->server, &client = ends->client;
  const Endpoint at = server_of(attempt);
  const Deadline until = std::chrono::steady_clock::now() + patience_a_probe;
  if (const int refusal = start_connect(client.raw(), at); refusal != 0 && refusal != EINPROGRESS)
    return void(outcome.refusal = std::strerror(refusal));
  if (!is_ready(client.raw(), POLLOUT, left(until))) return;
  if (const int refusal = pending_error(client.raw())) return void(outcome.refusal = std::strerror(refusal));
  if (const Result<Endpoint> from = local_endpoint(client.raw())) look_for_taker(lab, *from, at, own, outcome);
  if (::send(client.raw(), question.data(), question.size(), MSG_NOSIGNAL) < 0)
    return void(outcome.refusal = std::strerror(errno));
  while (left(until).count() > 0 && !outcome.seen) {
    pollfd waiting[] = {{listener.raw(), POLLIN, 0}, {client.raw(), POLLIN, 0}};
    if (::poll(waiting, 2, static_cast<int>(left(until).count())) <= 0) return;
    if (waiting[1].revents != 0) {  // nobody has sent it anything yet: it is refused, or at its end
      const int refusal = pending_error(client.raw());
      return void(outcome.refusal = refusal == 0 ? "closed" : std::strerror(refusal));
    }
    if (const auto accepted = accept_client(listener.raw())) {
      outcome.seen = accepted->client;
      if (::send(accepted->fd.raw(), answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
      outcome.was_answered = is_ready(client.raw(), POLLIN, left(until));
    }
  }
}

void try_datagram(const ProbeLab& lab, const Attempt& attempt, Outcome& outcome) {
  const Result<Ends> ends = ends_of(lab, attempt);
  if (!ends) return void(outcome.refusal = ends.error().what);
  const Fd &server = ends->server, &client = ends->client;
  if (const int refusal = start_connect(client.raw(), server_of(attempt)))
    return void(outcome.refusal = std::strerror(refusal));
  const Deadline until = std::chrono::steady_clock::now() + patience_a_probe;
  while (left(until).count() > 0) {
    if (::send(client.raw(), question.data(), question.size(), 0) < 0)
      return void(outcome.refusal = std::strerror(errno));
    if (!is_ready(server.raw(), POLLIN, std::min(ask_again, left(until)))) continue;
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    char buffer[64];
    if (::recvfrom(server.raw(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size) < 0) continue;
    outcome.seen = Endpoint::from_sockaddr(from);
    if (::sendto(server.raw(), answer.data(), answer.size(), 0, reinterpret_cast<const sockaddr*>(&from), size) < 0)
      return void(outcome.refusal = std::strerror(errno));
    outcome.was_answered = is_ready(client.raw(), POLLIN, left(until));
    return;
  }
}

Outcome outcome_of(const ProbeLab& lab, const Attempt& attempt, const Machine& machine) {
  Outcome outcome;
  if (attempt.proto == Protocol::tcp)
    try_connection(lab, attempt, machine.config.value_or(Config{}).intercept.own_mark, outcome);
  else
    try_datagram(lab, attempt, outcome);
  return outcome;
}

bool includes(const std::vector<PortRange>& ports, std::uint16_t port) {
  return std::ranges::any_of(ports, [&](const PortRange& range) { return range.first <= port && port <= range.last; });
}

// Whether limpid ought to take it.
bool is_limpids(const Machine& machine, const Attempt& attempt) {
  if (!machine.is_running || !machine.config) return false;
  const Intercept& settings = machine.config->intercept;
  if (attempt.is_local ? !settings.local : settings.interfaces.empty()) return false;
  return includes(attempt.proto == Protocol::tcp ? settings.tcp : settings.udp, attempt.port);
}

Diagnosis told(const Machine& machine, const Attempt& attempt, const Outcome& outcome) {
  std::string what = attempt.name() + ": ";
  const bool should_be_taken = is_limpids(machine, attempt);
  // A datagram leaves no socket to tell by.
  if (attempt.proto == Protocol::tcp && !outcome.was_taken && outcome.refusal.empty())
    what += "nobody on this machine took it";
  else if (attempt.proto == Protocol::udp)
    what += should_be_taken ? "limpid's to take" : "nobody's to take";
  else if (outcome.was_taken)
    what += outcome.was_taken_by_limpid ? "limpid took it" : "another proxy took it";
  else
    what += "refused";
  if (outcome.seen) what += fmt::format("; it came to the server, as from {}", outcome.seen->text());
  if (!outcome.refusal.empty()) what += fmt::format(" ({})", outcome.refusal);
  if (!outcome.seen && outcome.refusal.empty()) what += "; it was lost: the server has not seen it";
  if (outcome.seen) what += outcome.was_answered ? ", and the answer came back" : ", but the answer was lost";
  const bool is_taken_as_it_should = attempt.proto == Protocol::udp || outcome.was_taken_by_limpid == should_be_taken;
  const bool is_rejected = should_be_taken && !outcome.refusal.empty() && !machine.config->rules.empty();
  const Severity severity = outcome.was_answered && is_taken_as_it_should ? Severity::ok
                            : is_rejected                                 ? Severity::warning
                                                                          : Severity::broken;
  return {.id = probe_id, .severity = severity, .what = std::move(what), .why = probe_why};
}

// The first interface that the configuration names and that is there; a wildcard is met by a name of ours.
struct Entrance {
  std::string link = "limpid-probe-c", come_in_as{};
};
Result<Entrance> entrance(const Machine& machine) {
  const std::vector<Steering> all = steerings(machine);
  for (const Steering& one : all)
    for (const std::string& pattern : one.interfaces) {
      if (pattern == "*") return Entrance{};
      if (pattern.ends_with('*'))
        return Entrance{.link = pattern.substr(0, std::min<std::size_t>(pattern.size() - 1, 9)) + "limpid"};
      const auto link = std::ranges::find(machine.links, pattern, &Link::name);
      if (link == machine.links.end() || !link->is_up) continue;
      if (machine.setting_of(pattern, "rp_filter") == 1)
        return failure(
            fmt::format("rp_filter is 1 on {}, which drops what a client of ours would send there", pattern));
      return Entrance{.come_in_as = pattern};
    }
  if (!all.empty() && !machine.config) return failure("no interface of those that the rules name is up");
  return Entrance{};
}

std::uint16_t port_for(const Machine& machine, Protocol proto) {
  const auto first = [](const std::vector<PortRange>& ports) {
    return ports.empty() ? std::uint16_t{0} : ports.front().first;
  };
  std::uint16_t port = 0;
  if (machine.config)
    port = first(proto == Protocol::tcp ? machine.config->intercept.tcp : machine.config->intercept.udp);
  if (port == 0 && machine.chains && proto == Protocol::tcp)
    for (const TproxyRule& rule : tproxy_rules(*machine.chains)) port = port == 0 ? first(rule.taken) : port;
  return port == 0 ? (proto == Protocol::tcp ? 80 : 53) : port;
}

}  // namespace

std::vector<Diagnosis> probe(const Machine& machine) {
  const auto not_tried = [](const Error& error) {
    return std::vector<Diagnosis>{
        {.id = probe_id, .severity = Severity::not_looked_at, .what = "not tried: " + error.what, .why = probe_why}};
  };
  const Result<Entrance> by = entrance(machine);
  if (!by) return not_tried(by.error());
  std::vector<int> families = {AF_INET};
  if (std::ranges::any_of(machine.arrivals, [](const Arrival& one) { return one.client.family() == AF_INET6; }))
    families.push_back(AF_INET6);
  const Result<ProbeLab> lab =
      ProbeLab::build({.client_link = by->link, .come_in_as = by->come_in_as, .families = families});
  if (!lab) return not_tried(lab.error());
  // One after the other where they need the same port of the server's, else at once: most of it is waiting.
  std::vector<std::future<std::vector<Diagnosis>>> pairs;
  for (const int family : families)
    for (const Protocol proto : {Protocol::tcp, Protocol::udp})
      pairs.push_back(std::async(std::launch::async, [&, family, proto] {
        std::vector<Diagnosis> both;
        for (const bool is_local : {false, true}) {
          const Attempt attempt{
              .proto = proto, .family = family, .is_local = is_local, .port = port_for(machine, proto)};
          both.push_back(told(machine, attempt, outcome_of(*lab, attempt, machine)));
        }
        return both;
      }));
  std::vector<Diagnosis> findings;
  for (auto& pair : pairs) std::ranges::move(pair.get(), std::back_inserter(findings));
  return findings;
}

}  // namespace limpid
