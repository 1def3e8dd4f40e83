// SPDX-License-Identifier: MIT
// A small network of anonymous namespaces on this machine, for `limpid demo`, `limpid doctor` and `limpid explain`.
// Nothing here has a name in the file system: when the last process and descriptor that hold a namespace are gone, so
// are it, its links and its rules.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "net/address.h"

namespace limpid {

class NetworkNamespace {
 public:
  // A new one, with both families' duplicate address detection off and its loopback up. CAP_SYS_ADMIN.
  [[nodiscard]] static Result<NetworkNamespace> create();

  // The one that the calling thread is in.
  [[nodiscard]] static Result<NetworkNamespace> current();

  // Puts the calling thread inside for as long as it lives. Sockets and children made meanwhile stay inside for good.
  class Inside {
   public:
    explicit Inside(const NetworkNamespace& where);
    ~Inside();
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    Fd before_;
  };

  [[nodiscard]] int raw() const { return fd_.raw(); }

 private:
  explicit NetworkNamespace(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// A mount namespace of this process's own whose /run is empty and in memory: what is put there leaves no trace.
// Before the first thread. CAP_SYS_ADMIN.
[[nodiscard]] Result<> make_run_private();

struct LinkEnd {
  const NetworkNamespace& where;
  std::string name;
};
// A cable between the two (veth(4)), both ends up; returns when it carries packets.
[[nodiscard]] Result<> plug_cable(const LinkEnd& one, const LinkEnd& other, std::chrono::milliseconds patience);

// Takes it away, both ends.
[[nodiscard]] Result<> unplug_cable(const LinkEnd& end);

// An interface that is up and whose other end is this descriptor (tun(4)): what is written there comes in as a packet,
// and what leaves by it may be read. Both vanish with the descriptor. CAP_NET_ADMIN.
[[nodiscard]] Result<Fd> make_tun(const LinkEnd& end);

struct LinkAddress {
  Address address;
  int prefix_length;
};
[[nodiscard]] Result<> add_address(const LinkEnd& end, const LinkAddress& address);
[[nodiscard]] Result<> add_default_route(const NetworkNamespace& where, const Address& gateway);
// All packets of that family leave by that end.
[[nodiscard]] Result<> add_default_route(const LinkEnd& through, int family);
// `path`: below /proc/sys/net.
[[nodiscard]] Result<> write_sysctl(const NetworkNamespace& where, const std::string& path, std::string_view value);
[[nodiscard]] Result<> forward_packets(const NetworkNamespace& where);  // both families

// How many packets it has forwarded, that is: passed on without anybody there having taken them.
[[nodiscard]] Result<std::uint64_t> forwarded_packets(const NetworkNamespace& where, int family);

}  // namespace limpid
