// SPDX-License-Identifier: MIT
#include "net/lab.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/route.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include <fstream>
#include <sstream>

#include "base/check.h"
#include "net/libnl.h"

namespace limpid {
namespace {

constexpr const char* own_namespace = "/proc/thread-self/ns/net";

using RtnlLink = Owned<rtnl_link, rtnl_link_put>;
using LinkAddressObject = Owned<rtnl_addr, rtnl_addr_put>;
using NetlinkAddress = Owned<nl_addr, nl_addr_put>;
using Route = Owned<rtnl_route, rtnl_route_put>;

Result<NetlinkSocket> open_routes(const NetworkNamespace& where) {
  const NetworkNamespace::Inside inside(where);
  return open_netlink(NETLINK_ROUTE);
}

Result<RtnlLink> find_link(nl_sock* socket, const std::string& name) {
  rtnl_link* found = nullptr;
  if (const int code = rtnl_link_get_kernel(socket, 0, name.c_str(), &found); code < 0)
    return netlink_failure(fmt::format("look up link {}", name), code);
  return RtnlLink(found);
}

Result<> set_up(nl_sock* socket, const std::string& name) {
  Result<RtnlLink> link = find_link(socket, name);
  if (!link) return std::unexpected(link.error());
  const RtnlLink change(rtnl_link_alloc());
  rtnl_link_set_flags(change.get(), IFF_UP);
  if (const int code = rtnl_link_change(socket, link->get(), change.get(), 0); code < 0)
    return netlink_failure(fmt::format("set link {} up", name), code);
  return {};
}

// "Up" is not enough: until the kernel has noticed the carrier, packets are dropped, and a lost SYN costs a second.
Result<> await_carrier(const LinkEnd& end, std::chrono::milliseconds patience) {
  Result<NetlinkSocket> news = open_routes(end.where);
  Result<NetlinkSocket> questions = open_routes(end.where);
  if (!news) return std::unexpected(news.error());
  if (!questions) return std::unexpected(questions.error());
  nl_socket_disable_seq_check(news->get());
  if (const int code = nl_socket_add_membership(news->get(), RTNLGRP_LINK); code < 0)
    return netlink_failure("subscribe to links", code);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    Result<RtnlLink> link = find_link(questions->get(), end.name);
    if (!link) return std::unexpected(link.error());
    if (rtnl_link_get_operstate(link->get()) == IF_OPER_UP) return {};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{nl_socket_get_fd(news->get()), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0)
      return failure(fmt::format("link {} has no carrier", end.name));
    nl_recvmsgs_default(news->get());  // that something changed is enough: the link is asked again
  }
}

Result<> add_route(const NetworkNamespace& where, int family, rtnl_nexthop* hop, const std::string& name) {
  Result<NetlinkSocket> socket = open_routes(where);
  if (!socket) return std::unexpected(socket.error());
  const Address any = Address::any(family);
  const NetlinkAddress everywhere(nl_addr_build(family, any.bytes(), static_cast<std::size_t>(any.bits() / 8)));
  nl_addr_set_prefixlen(everywhere.get(), 0);
  const Route route(rtnl_route_alloc());
  rtnl_route_set_dst(route.get(), everywhere.get());
  rtnl_route_add_nexthop(route.get(), hop);  // owned by the route from here on
  if (const int code = rtnl_route_add(socket->get(), route.get(), NLM_F_EXCL); code < 0)
    return netlink_failure(fmt::format("route by way of {}", name), code);
  return {};
}

}  // namespace

Result<> write_sysctl(const NetworkNamespace& where, const std::string& path, std::string_view value) {
  const NetworkNamespace::Inside inside(where);
  std::ofstream file("/proc/sys/net/" + path);
  file << value << std::flush;
  if (!file) return failure(fmt::format("write {} to /proc/sys/net/{}: refused", value, path));
  return {};
}

NetworkNamespace::Inside::Inside(const NetworkNamespace& where) : before_(::open(own_namespace, O_RDONLY | O_CLOEXEC)) {
  // Whoever was allowed to make a namespace may enter it.
  CHECK(before_.is_open() && ::setns(where.raw(), CLONE_NEWNET) == 0);
}

NetworkNamespace::Inside::~Inside() { CHECK(::setns(before_.raw(), CLONE_NEWNET) == 0); }

Result<NetworkNamespace> NetworkNamespace::create() {
  const Fd before(::open(own_namespace, O_RDONLY | O_CLOEXEC));
  if (!before.is_open()) return errno_failure(own_namespace, errno);
  if (::unshare(CLONE_NEWNET) != 0) return errno_failure("make a network namespace", errno);
  Fd made(::open(own_namespace, O_RDONLY | O_CLOEXEC));
  const int code = errno;
  CHECK(::setns(before.raw(), CLONE_NEWNET) == 0);
  if (!made.is_open()) return errno_failure(own_namespace, code);

  NetworkNamespace where(std::move(made));
  // A tentative link-local address keeps a router from asking for its neighbours (ndisc_solicit()) for the first
  // second.
  for (const char* path : {"ipv6/conf/default/dad_transmits", "ipv6/conf/default/accept_dad"})
    if (Result<> done = write_sysctl(where, path, "0"); !done) return std::unexpected(done.error());
  Result<NetlinkSocket> socket = open_routes(where);
  if (!socket) return std::unexpected(socket.error());
  if (Result<> done = set_up(socket->get(), "lo"); !done) return std::unexpected(done.error());
  return where;
}

Result<NetworkNamespace> NetworkNamespace::current() {
  Fd here(::open(own_namespace, O_RDONLY | O_CLOEXEC));
  if (!here.is_open()) return errno_failure(own_namespace, errno);
  return NetworkNamespace(std::move(here));
}

Result<> make_run_private() {
  if (::unshare(CLONE_NEWNS) != 0) return errno_failure("make a mount namespace", errno);
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return errno_failure("make mounts private", errno);
  if (::mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0)
    return errno_failure("mount /run", errno);
  return {};
}

Result<> plug_cable(const LinkEnd& one, const LinkEnd& other, std::chrono::milliseconds patience) {
  Result<NetlinkSocket> socket = open_routes(one.where);
  Result<NetlinkSocket> other_socket = open_routes(other.where);
  if (!socket) return std::unexpected(socket.error());
  if (!other_socket) return std::unexpected(other_socket.error());
  const RtnlLink link(rtnl_link_veth_alloc());
  rtnl_link_set_name(link.get(), one.name.c_str());
  rtnl_link* peer = rtnl_link_veth_get_peer(link.get());
  rtnl_link_set_name(peer, other.name.c_str());
  rtnl_link_set_ns_fd(peer, other.where.raw());
  rtnl_link_put(peer);  // get_peer() took a reference for us
  if (const int code = rtnl_link_add(socket->get(), link.get(), NLM_F_CREATE | NLM_F_EXCL); code < 0)
    return netlink_failure(fmt::format("make veth {}", one.name), code);
  if (Result<> done = set_up(socket->get(), one.name); !done) return done;
  if (Result<> done = set_up(other_socket->get(), other.name); !done) return done;
  if (Result<> done = await_carrier(one, patience); !done) return done;
  return await_carrier(other, patience);
}

Result<> unplug_cable(const LinkEnd& end) {
  Result<NetlinkSocket> socket = open_routes(end.where);
  if (!socket) return std::unexpected(socket.error());
  const Result<RtnlLink> link = find_link(socket->get(), end.name);
  if (!link) return std::unexpected(link.error());
  if (const int code = rtnl_link_delete(socket->get(), link->get()); code < 0)
    return netlink_failure(fmt::format("remove veth {}", end.name), code);
  return {};
}

Result<> add_address(const LinkEnd& end, const LinkAddress& address) {
  Result<NetlinkSocket> socket = open_routes(end.where);
  if (!socket) return std::unexpected(socket.error());
  Result<RtnlLink> link = find_link(socket->get(), end.name);
  if (!link) return std::unexpected(link.error());
  const LinkAddressObject wanted(rtnl_addr_alloc());
  const auto bytes = static_cast<std::size_t>(address.address.bits() / 8);
  const NetlinkAddress local(nl_addr_build(address.address.family(), address.address.bytes(), bytes));
  nl_addr_set_prefixlen(local.get(), address.prefix_length);
  rtnl_addr_set_ifindex(wanted.get(), rtnl_link_get_ifindex(link->get()));
  rtnl_addr_set_local(wanted.get(), local.get());
  // Even without anything sent to detect duplicates, the address would be tentative for a moment: nobody could bind it.
  if (address.address.family() == AF_INET6) rtnl_addr_set_flags(wanted.get(), IFA_F_NODAD);
  if (const int code = rtnl_addr_add(socket->get(), wanted.get(), NLM_F_EXCL); code < 0)
    return netlink_failure(fmt::format("give {} to {}", address.address.text(), end.name), code);
  return {};
}

Result<> add_default_route(const NetworkNamespace& where, const Address& gateway) {
  const NetlinkAddress via(
      nl_addr_build(gateway.family(), gateway.bytes(), static_cast<std::size_t>(gateway.bits() / 8)));
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_gateway(hop, via.get());
  return add_route(where, gateway.family(), hop, gateway.text());
}

Result<> add_default_route(const LinkEnd& through, int family) {
  Result<NetlinkSocket> socket = open_routes(through.where);
  if (!socket) return std::unexpected(socket.error());
  const Result<RtnlLink> link = find_link(socket->get(), through.name);
  if (!link) return std::unexpected(link.error());
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, rtnl_link_get_ifindex(link->get()));
  return add_route(through.where, family, hop, through.name);
}

Result<Fd> make_tun(const LinkEnd& end) {
  const NetworkNamespace::Inside inside(end.where);
  Fd fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd.is_open()) return errno_failure("open /dev/net/tun", errno);
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  end.name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  if (::ioctl(fd.raw(), TUNSETIFF, &request) != 0) return errno_failure("make the interface " + end.name, errno);
  Result<NetlinkSocket> socket = open_netlink(NETLINK_ROUTE);
  if (!socket) return std::unexpected(socket.error());
  if (Result<> done = set_up(socket->get(), end.name); !done) return std::unexpected(done.error());
  return fd;
}

Result<> forward_packets(const NetworkNamespace& where) {
  if (Result<> done = write_sysctl(where, "ipv4/ip_forward", "1"); !done) return done;
  return write_sysctl(where, "ipv6/conf/all/forwarding", "1");
}

Result<std::uint64_t> forwarded_packets(const NetworkNamespace& where, int family) {
  const NetworkNamespace::Inside inside(where);
  const bool is_v4 = family == AF_INET;
  std::ifstream file(is_v4 ? "/proc/thread-self/net/snmp" : "/proc/thread-self/net/snmp6");
  std::string line;
  std::string names;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t value = 0;
    if (!is_v4) {  // a counter a line
      if (words >> name >> value && name == "Ip6OutForwDatagrams") return value;
    } else if (line.starts_with("Ip: ") && names.empty()) {  // a line of names and below it a line of values
      names = line;
    } else if (line.starts_with("Ip: ")) {
      std::istringstream heads(names);
      std::string word;
      while (heads >> name && words >> word)
        if (name == "ForwDatagrams") return std::stoull(word);
    }
  }
  return failure(fmt::format("the kernel does not count forwarded {} packets", family_name(family)));
}

}  // namespace limpid
