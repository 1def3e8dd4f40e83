// SPDX-License-Identifier: MIT
// Owners for libnl's objects, and its refusals as ours.
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"

struct nl_sock;
struct nlattr;

namespace limpid {

// libnl frees with a function of the object's own kind: Owned<rtnl_link, rtnl_link_put>.
template <auto release>
struct Release {
  template <class Object>
  void operator()(Object* object) const {
    release(object);
  }
};
template <class Object, auto release>
using Owned = std::unique_ptr<Object, Release<release>>;

void free_netlink(nl_sock* socket);
using NetlinkSocket = Owned<nl_sock, free_netlink>;

// Connected to NETLINK_ROUTE or the like, in the calling thread's network namespace; it stays there.
[[nodiscard]] Result<NetlinkSocket> open_netlink(int protocol);

// Numbers of nftables, which has them in network byte order; 0 where the attribute is not there.
[[nodiscard]] std::uint32_t be32_of(const nlattr* attribute);
[[nodiscard]] std::uint64_t be64_of(const nlattr* attribute);

// `code`: a negative result of libnl's.
[[nodiscard]] std::unexpected<Error> netlink_failure(std::string_view what, int code);

}  // namespace limpid
