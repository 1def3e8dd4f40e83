// SPDX-License-Identifier: MIT
#include "daemon/start_probe.h"

#include <sys/socket.h>

#include <cerrno>

#include "intercept/arrivals.h"
#include "intercept/fib.h"
#include "net/socket.h"
#include "proxy/settings.h"

namespace limpid {
namespace {

Result<Fd> probe_socket(std::expected<Fd, int> fd, int family) {
  if (!fd) return errno_failure("socket", fd.error());
  // Not bind_source(): the port must be known before connect(2).
  const Address loopback = Address::loopback(family);
  if (const int refusal = bind_to(fd->raw(), {loopback, 0})) return errno_failure("bind " + loopback.text(), refusal);
  return std::move(*fd);
}

// Has `ask` send something from that socket to where nobody is, and waits for the worker's answer.
boost::asio::awaitable<Result<>> probe(boost::asio::io_context& io, Result<Fd> fd, int family, WorkerKeeper& worker,
                                       Clock::time_point until, Result<> (*ask)(int fd, const Endpoint& to)) {
  if (!fd) co_return std::unexpected(fd.error());
  const Result<Endpoint> source = local_endpoint(fd->raw());
  if (!source) co_return std::unexpected(source.error());
  if (Result<> told = worker.announce_probe(family, source->port); !told) co_return told;
  // Orders are obeyed one after the other: once the worker has reported, it knows the port.
  if (!co_await worker.refresh(std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now())))
    co_return failure("the worker does not answer");
  if (Result<> asked = ask(fd->raw(), probe_destination(family)); !asked) co_return asked;
  Watch watch(io, fd->raw());
  char answer[probe_answer.size()];
  if (!co_await watch.readable(until))
    co_return failure(
        "the probe got no answer: the rules, fib rules or routes that `limpid status` lists are not in effect");
  const ssize_t n = ::recv(fd->raw(), answer, sizeof answer, 0);
  if (n < 0) co_return errno_failure("the probe was refused: recv", errno);
  if (std::string_view(answer, static_cast<std::size_t>(n)) != probe_answer)
    co_return failure("the probe was answered by somebody else");
  co_return worker.announce_probe(family, 0);
}

Result<> ask_by_datagram(int fd, const Endpoint& to) {
  sockaddr_storage storage;
  const socklen_t length = to.to_sockaddr(storage);
  if (::sendto(fd, "?", 1, 0, reinterpret_cast<const sockaddr*>(&storage), length) != 1)
    return errno_failure("sendto", errno);
  return {};
}

Result<> probe_route(Fib& fib, const Arrival& arrival, const Plan& plan) {
  const int family = arrival.client.family();
  const Result<bool> delivered = fib.is_delivered_locally({.interface = arrival.interface,
                                                           .mark = plan.settings.mark,
                                                           .source = arrival.client,
                                                           .destination = probe_destination(family).address});
  const std::string context = fmt::format("{} on {}: a packet from {} with mark {}", family_name(family),
                                          arrival.interface, arrival.client.text(), plan.settings.mark.text());
  if (!delivered) return failure_in(context + " is not delivered to limpid", delivered);
  if (!*delivered)
    return failure(
        fmt::format("{} is forwarded instead of delivered to limpid: a fib rule before priority {} decides first: see "
                    "`ip rule`, and set intercept.priority (--priority) to come before it",
                    context, plan.settings.priority - 1));
  return {};
}

}  // namespace

Result<Fd> open_probe(int family, Mark mark) { return probe_socket(upstream_socket(family, mark), family); }

Result<> ask_by_connecting(int fd, const Endpoint& to) {
  const int started = start_connect(fd, to);
  if (started != 0 && started != EINPROGRESS) return errno_failure("connect", started);
  return {};
}

boost::asio::awaitable<Result<>> probe_rules(boost::asio::io_context& io, const Plan& plan, WorkerKeeper& worker,
                                             std::chrono::milliseconds patience) {
  const Clock::time_point until = Clock::now() + patience;
  const Mark mark = plan.settings.local_mark;
  for (const int family : families(plan)) {
    const Result<> probed = co_await probe(io, open_probe(family, mark), family, worker, until, ask_by_connecting);
    if (!probed) co_return failure_in(fmt::format("probe of {}", family_name(family)), probed);
    if (plan.udp(family).request == 0) continue;
    const Result<> udp =
        co_await probe(io, probe_socket(datagram_socket(family, mark), family), family, worker, until, ask_by_datagram);
    if (!udp) co_return failure_in(fmt::format("probe of UDP over {}", family == AF_INET ? "IPv4" : "IPv6"), udp);
  }
  co_return Result<>{};
}

Result<> probe_routes(const Plan& plan) {
  Result<Fib> fib = Fib::open();
  if (!fib) return std::unexpected(fib.error());
  const Result<std::vector<Arrival>> found = arrivals();
  if (!found) return std::unexpected(found.error());
  for (const Arrival& arrival : *found) {
    if (plan.ports.of(arrival.client.family()) == 0 || !is_named(arrival.interface, plan.settings.interfaces)) continue;
    if (Result<> probed = probe_route(*fib, arrival, plan); !probed) return probed;
  }
  return {};
}

}  // namespace limpid
