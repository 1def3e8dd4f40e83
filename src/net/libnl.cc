// SPDX-License-Identifier: MIT
#include "net/libnl.h"

#include <endian.h>
#include <netlink/attr.h>
#include <netlink/netlink.h>

namespace limpid {

void free_netlink(nl_sock* socket) { nl_socket_free(socket); }

Result<NetlinkSocket> open_netlink(int protocol) {
  NetlinkSocket socket(nl_socket_alloc());
  if (const int code = nl_connect(socket.get(), protocol); code < 0) return netlink_failure("open netlink", code);
  return socket;
}

std::uint32_t be32_of(const nlattr* attribute) { return attribute == nullptr ? 0 : be32toh(nla_get_u32(attribute)); }

std::uint64_t be64_of(const nlattr* attribute) { return attribute == nullptr ? 0 : be64toh(nla_get_u64(attribute)); }

std::unexpected<Error> netlink_failure(std::string_view what, int code) {
  return failure(fmt::format("{}: {}", what, nl_geterror(code)));
}

}  // namespace limpid
