// SPDX-License-Identifier: MIT
#include "net/libnl.h"

#include <netlink/netlink.h>

namespace limpid {

void free_netlink(nl_sock* socket) { nl_socket_free(socket); }

Result<NetlinkSocket> open_netlink(int protocol) {
  NetlinkSocket socket(nl_socket_alloc());
  if (const int code = nl_connect(socket.get(), protocol); code < 0) return netlink_failure("open netlink", code);
  return socket;
}

std::unexpected<Error> netlink_failure(std::string_view what, int code) {
  return failure(fmt::format("{}: {}", what, nl_geterror(code)));
}

}  // namespace limpid
