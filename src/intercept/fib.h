// SPDX-License-Identifier: MIT
// Fib rules and routes in the kernel: add, delete, list, ask. One family after the other is the caller's business.
// CAP_NET_ADMIN to change something. The netlink socket belongs to the network namespace it was opened in.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "intercept/plan.h"
#include "net/netlink.h"

namespace limpid {

class Fib {
 public:
  [[nodiscard]] static Result<Fib> open();

  [[nodiscard]] Result<> add(const FibRule& rule);  // refuses what is there already
  [[nodiscard]] Result<> add(const FibRoute& route);
  [[nodiscard]] Result<> remove(const FibRule& rule);  // removing what is not there succeeds
  [[nodiscard]] Result<> remove(const FibRoute& route);

  // All fib rules of a family, other people's too; what FibRule has no word for (to, networks, other ports) is not
  // told.
  [[nodiscard]] Result<std::vector<FibRule>> rules(int family);
  // The routes of one table, as far as their protocols go: whose they are. An empty table need not exist.
  [[nodiscard]] Result<std::vector<FibRoute>> routes(int family, std::uint32_t table);
  // The routes in any table that are like ours and carry that protocol number.
  [[nodiscard]] Result<std::vector<FibRoute>> our_routes(int family, std::uint8_t protocol = limpid_protocol);

  // What the kernel would do with a packet that comes in there: look-up as for input, source validation included.
  // Without an interface: with one that this machine sends; the source is not looked at then.
  struct Query {
    std::string interface;
    Mark mark;
    Address source;
    Address destination;

    [[nodiscard]] std::string text() const;  // "ip route get 192.0.2.1 from 10.1.0.2 iif lan0 mark 0x1"
    bool operator==(const Query&) const = default;
  };
  // Where it goes. A refusal by the kernel is an error: EXDEV and EINVAL where the source is not believed (rp_filter).
  struct Way {
    bool is_here = false;          // delivered to this machine
    std::uint32_t table = 0;       // that has the route
    std::string interface{};       // out of which it goes
    std::optional<Address> via{};  // by which router; nothing: to the destination itself
    bool operator==(const Way&) const = default;
  };
  [[nodiscard]] Result<Way> way(const Query& query);
  [[nodiscard]] Result<bool> is_delivered_locally(const Query& query);  // false: forwarded

 private:
  explicit Fib(Netlink netlink) : netlink_(std::move(netlink)) {}

  Netlink netlink_;
};

}  // namespace limpid
