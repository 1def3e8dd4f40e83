// SPDX-License-Identifier: MIT
#include "doctor/probe_lab.h"

#include <algorithm>
#include <ranges>

#include "base/check.h"
#include "net/ingress.h"

namespace limpid {
namespace {

constexpr std::chrono::seconds carrier_patience(2);
constexpr const char* server_link = "limpid-probe-s";

// A side of ours: its address there, and this machine's.
struct Side {
  std::string_view host4, here4, host6, here6;

  [[nodiscard]] Address host(int family) const { return parsed(family == AF_INET ? host4 : host6); }
  [[nodiscard]] Address here(int family) const { return parsed(family == AF_INET ? here4 : here6); }

 private:
  static Address parsed(std::string_view text) {
    const Result<Address> address = Address::parse(text);
    CHECK(address.has_value());
    return *address;
  }
};
constexpr Side client_side{"198.19.253.2", "198.19.253.1", "fd5a:5300:c::2", "fd5a:5300:c::1"};
constexpr Side server_side{"198.19.254.2", "198.19.254.1", "fd5a:5300:d::2", "fd5a:5300:d::1"};

int prefix_length(int family) { return family == AF_INET ? 30 : 64; }

Result<> address_both_ends(const LinkEnd& host, const LinkEnd& here, const Side& side,
                           const std::vector<int>& families) {
  for (const int family : families) {
    if (Result<> added = add_address(host, {side.host(family), prefix_length(family)}); !added) return added;
    if (Result<> added = add_address(here, {side.here(family), prefix_length(family)}); !added) return added;
    if (Result<> routed = add_default_route(host.where, side.here(family)); !routed) return routed;
  }
  return {};
}

}  // namespace

Address ProbeLab::client_address(int family) { return client_side.host(family); }
Address ProbeLab::server_address(int family) { return server_side.host(family); }

Result<> ProbeLab::plug(const NetworkNamespace& host, const std::string& link) {
  const Result<> plugged = plug_cable({here_, link}, {host, "eth0"}, carrier_patience);
  if (plugged || plugged.error().what.find("carrier") != std::string::npos) links_.push_back(link);
  return plugged;
}

Result<ProbeLab> ProbeLab::build(const Wiring& wiring) {
  Result<NetworkNamespace> client = NetworkNamespace::create(), server = NetworkNamespace::create(),
                           here = NetworkNamespace::current();
  for (const Result<NetworkNamespace>* const made : {&client, &server, &here})
    if (!*made) return std::unexpected(made->error());
  ProbeLab lab(std::move(*client), std::move(*here), std::move(*server));
  for (const auto& [host, link, side] : {std::tuple(&lab.client_, wiring.client_link, client_side),
                                         std::tuple(&lab.server_, std::string(server_link), server_side)}) {
    if (Result<> plugged = lab.plug(*host, link); !plugged) return std::unexpected(plugged.error());
    const Result<> addressed = address_both_ends({*host, "eth0"}, {lab.here_, link}, side, wiring.families);
    if (!addressed) return std::unexpected(addressed.error());
  }
  if (!wiring.come_in_as.empty())
    if (Result<> redirected = receive_as(wiring.client_link, wiring.come_in_as); !redirected)
      return failure_in(fmt::format("have {} receive what {} gets", wiring.come_in_as, wiring.client_link), redirected);
  return lab;
}

ProbeLab::~ProbeLab() {
  // Whatever is refused here goes with the namespaces at the other ends.
  for (const std::string& link : links_ | std::views::reverse) (void)unplug_cable({here_, link});
}

}  // namespace limpid
