// SPDX-License-Identifier: MIT
#include "doctor/replica.h"

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>
#include <tuple>

#include "daemon/confine.h"
#include "doctor/tproxy_rules.h"
#include "intercept/xt_rules.h"
#include "net/datagram.h"
#include "net/links.h"
#include "net/packet.h"
#include "net/socket.h"

namespace limpid {
namespace {

constexpr std::string_view own_table = "limpid_explain";
constexpr std::chrono::seconds trace_patience(1);
constexpr std::uint32_t table_of_everything = 5300;

// First and last in each hook: the packet is traced from its first step on, and it is seen when it has come through.
constexpr std::string_view own_rules = R"(table inet limpid_explain {
	chain first { type filter hook prerouting priority -2147483648; }
	chain first_here { type filter hook output priority -2147483648; }
	chain after_prerouting { type filter hook prerouting priority 2147483647; policy accept; }
	chain after_input { type filter hook input priority 2147483647; policy accept; }
	chain after_postrouting { type filter hook postrouting priority 2147483647; policy accept; }
}
)";

struct ListedTable {
  std::string name;  // "inet users"
  std::string text;
};

// Of a listing, without the owner: the copy belongs to us anyway.
std::vector<ListedTable> tables_of(const std::string& listing) {
  std::vector<ListedTable> tables;
  for (std::size_t begin = 0; begin < listing.size();) {
    const std::size_t end = std::min(listing.find('\n', begin), listing.size());
    const std::string_view line(listing.data() + begin, end - begin);
    begin = end + 1;
    if (line.starts_with("table ")) {
      const std::string_view name = line.substr(6);
      tables.push_back({std::string(name.substr(0, name.find(" {"))), ""});
    }
    if (tables.empty() || line.starts_with('#') || line.find("flags owner") != std::string_view::npos) continue;
    tables.back().text += std::string(line) + '\n';
  }
  return tables;
}

// What only iptables itself can read back.
bool is_of_iptables_alone(const std::string& text) {
  return text.find("xt match") != std::string::npos || text.find("xt target") != std::string::npos;
}

bool is_of_ip(const std::string& name) {
  return name.starts_with("ip ") || name.starts_with("ip6 ") || name.starts_with("inet ");
}

// Another of the same kind; what the real one does with its connections does not matter here.
Result<Fd> listen_like(const WaitingSocket& socket, const Endpoint& at) {
  const bool is_transparent = socket.is_transparent.value_or(true);
  if (socket.protocol == IPPROTO_TCP) return is_transparent ? listen_transparent(at, {}) : listen_as_service(at, {});
  if (is_transparent) return listen_for_datagrams(at, {});
  std::expected<Fd, int> fd = datagram_socket(at.family(), {});
  if (!fd) return errno_failure("socket", fd.error());
  if (const int refusal = bind_to(fd->raw(), at)) return errno_failure("bind " + at.text(), refusal);
  return *std::move(fd);
}

// "tcp dport 80 accept # handle 7"
std::pair<std::string, std::uint64_t> split_handle(const std::string& rule) {
  constexpr std::string_view word = " # handle ";
  const std::size_t at = rule.rfind(word);
  if (at == std::string::npos) return {rule, 0};
  std::uint64_t handle = 0;
  std::from_chars(rule.data() + at + word.size(), rule.data() + rule.size(), handle);
  return {rule.substr(0, at), handle};
}

// Has the kernel show what it does with this packet, and no other: its sockets and interfaces send some of their own.
std::string trace_rules(const PacketQuestion& packet) {
  const Endpoint &client = packet.flow.client, &destination = packet.flow.destination;
  const std::string_view ip = client.family() == AF_INET ? "ip" : "ip6";
  const std::string_view proto = packet.proto == Protocol::tcp ? "tcp" : "udp";
  std::string commands;
  for (const std::string_view chain : {"first", "first_here"})
    commands += fmt::format(
        "flush chain inet {0} {1}\nadd rule inet {0} {1} {2} saddr {3} {2} daddr {4} {5} sport {6} {5} dport {7} meta "
        "nftrace set 1\n",
        own_table, chain, ip, client.address.text(), destination.address.text(), proto, client.port, destination.port);
  return commands;
}

bool is_end(const TraceEvent& event, Until until) {
  if (event.table != own_table) return event.verdict == "drop" || event.verdict == "taken away";
  const std::string_view last = until == Until::prerouting    ? "after_prerouting"
                                : until == Until::postrouting ? "after_postrouting"
                                                              : "after_input";
  return event.kind == TraceEvent::Kind::policy && event.chain == last;
}

}  // namespace

struct Replica::Listing {
  std::string with_elements, with_handles;
  std::vector<XtRule> of_iptables;
};

Result<Replica::Listing> Replica::list_all(Nft& nft) {
  Result<std::string> with_elements = nft.list_with_elements("ruleset");
  if (!with_elements) return std::unexpected(with_elements.error());
  Result<std::string> with_handles = nft.list_with_handles("ruleset");
  if (!with_handles) return std::unexpected(with_handles.error());
  Result<std::vector<XtRule>> of_iptables = xt_rules();
  if (!of_iptables) return std::unexpected(of_iptables.error());
  return Listing{*std::move(with_elements), *std::move(with_handles), *std::move(of_iptables)};
}

Result<Replica> Replica::make(const std::vector<WaitingSocket>& sockets) {
  // An interface takes a descriptor, and there may be thousands.
  if (const auto raised = raise_descriptor_limit(); !raised) return std::unexpected(raised.error());
  Result<NetworkNamespace> where = NetworkNamespace::create();
  if (!where) return std::unexpected(where.error());
  Result<Nft> nft = Nft::open();
  if (!nft) return std::unexpected(nft.error());
  const Result<Listing> listing = list_all(*nft);
  if (!listing) return failure_in("list the rules", listing);
  std::optional<NetworkNamespace::Inside> inside(std::in_place, *where);
  Result<Nft> nft_there = Nft::open();
  inside.reset();
  if (!nft_there) return std::unexpected(nft_there.error());

  Replica replica(std::move(*where), std::move(*nft_there));
  if (Result<> copied = replica.copy_interfaces(); !copied) return failure_in("copy the interfaces", copied);
  replica.load_tables(*listing);
  if (const auto loaded = replica.nft_.run(std::string(own_rules)); !loaded) return std::unexpected(loaded.error());
  if (Result<> read = replica.read_rules_back(); !read) return std::unexpected(read.error());
  replica.open_listeners(sockets);
  return replica;
}

Result<> Replica::copy_interfaces() {
  const Result<std::vector<Link>> all = links();
  if (!all) return std::unexpected(all.error());
  const Result<std::vector<InterfaceAddress>> addresses = interface_addresses();
  if (!addresses) return std::unexpected(addresses.error());
  for (const char* const path : {"ipv4/conf/all/rp_filter", "ipv4/conf/default/rp_filter"})
    if (Result<> written = write_sysctl(where_, path, "0"); !written) return written;
  if (Result<> forwarding = forward_packets(where_); !forwarding) return forwarding;
  for (const Link& link : *all) {
    if (link.name == "lo") continue;
    Result<Fd> cable = make_tun({where_, link.name});
    if (!cable) return std::unexpected(cable.error());
    cables_.emplace(link.name, std::move(*cable));
  }
  for (const InterfaceAddress& one : *addresses) {
    const bool is_there_already = one.is_loopback && one.interface == "lo" &&
                                  (one.address.bytes()[0] == 127 || one.address == Address::loopback(AF_INET6));
    if (is_there_already || one.is_link_local()) continue;
    if (Result<> added = add_address({where_, one.interface}, {one.address, one.prefix_length()}); !added) return added;
  }
  return {};
}

void Replica::load_tables(const Listing& listing) {
  const std::vector<ListedTable> told = tables_of(with_xt_told(listing.with_handles, listing.of_iptables));
  for (ListedTable table : tables_of(listing.with_elements)) {
    if (!is_of_ip(table.name)) continue;
    // Tables of iptables have no sets, so that nothing is lost.
    if (std::ranges::find(listing.of_iptables, table.name, &XtRule::table) != listing.of_iptables.end())
      table.text = std::ranges::find(told, table.name, &ListedTable::name)->text;
    if (is_of_iptables_alone(table.text)) {
      missing_.push_back(
          fmt::format("table {} is not followed: it has matches that only iptables can tell", table.name));
      continue;
    }
    if (const auto loaded = nft_.run(table.text); !loaded)
      missing_.push_back(fmt::format("table {} is not followed: {}", table.name, loaded.error().what));
  }
}

Result<> Replica::read_rules_back() {
  const Result<std::string> listing = nft_.list_with_handles("ruleset");
  if (!listing) return std::unexpected(listing.error());
  chains_ = parse_whole_ruleset(*listing);
  return {};
}

void Replica::open_listeners(const std::vector<WaitingSocket>& sockets) {
  const NetworkNamespace::Inside inside(where_);
  std::set<std::uint16_t> ports;
  for (const NftChain& chain : chains_)
    for (std::size_t place = 0; place < chain.rules.size(); ++place)
      if (const auto rule = read_tproxy_rule(chain, place)) ports.insert(rule->port);
  std::set<std::tuple<int, Endpoint>> opened;  // a group of sockets on one port is one here
  for (const WaitingSocket& socket : sockets) {
    if (!ports.contains(socket.at.port)) continue;
    std::vector<Endpoint> places = {socket.at};
    if (socket.at.family() == AF_INET6 && socket.at.address.is_any() && !socket.ipv6_only)
      places.push_back({Address::any(AF_INET), socket.at.port});
    for (const Endpoint& at : places) {
      if (!opened.emplace(socket.protocol, at).second) continue;
      Result<Fd> listener = listen_like(socket, at);
      if (listener)
        listeners_.push_back(std::move(*listener));
      else
        missing_.push_back(fmt::format("the listener at {} is not there: {}", at.text(), listener.error().what));
    }
  }
}

Result<> Replica::deliver_here(int family, const std::string& interface, Mark mark) {
  const NetworkNamespace::Inside inside(where_);
  Result<Fib> fib = Fib::open();
  if (!fib) return std::unexpected(fib.error());
  const FibRule rule{
      .family = family, .priority = 1, .interface = interface, .mark = mark, .target = table_of_everything};
  if (Result<> added = fib->add(rule); !added) return added;
  return fib->add(FibRoute{.family = family, .table = table_of_everything});
}

Result<> Replica::send_onward(int family, const std::string& interface) {
  return add_default_route({where_, interface}, family);
}

Result<> Replica::let_in(const PacketQuestion& packet) {
  const Endpoint &client = packet.flow.client, &destination = packet.flow.destination;
  if (packet.is_from_here()) {
    const NetworkNamespace::Inside inside(where_);
    const int family = client.family();
    std::expected<Fd, int> fd =
        packet.proto == Protocol::tcp ? upstream_socket(family, {}) : datagram_socket(family, {});
    if (!fd) return errno_failure("socket", fd.error());
    if (const int refusal = bind_to(fd->raw(), client)) return errno_failure("bind " + client.text(), refusal);
    const int refusal = start_connect(fd->raw(), destination);
    if (refusal != 0 && refusal != EINPROGRESS) return errno_failure("connect " + destination.text(), refusal);
    if (packet.proto == Protocol::udp && ::send(fd->raw(), "?", 1, 0) != 1) return errno_failure("send", errno);
    return {};
  }
  const auto cable = cables_.find(packet.interface);
  if (cable == cables_.end()) return failure(fmt::format("there is no interface {}: see `ip link`", packet.interface));
  const std::vector<char> bytes =
      packet.proto == Protocol::tcp
          ? syn_packet(client, destination)
          : datagram_packet({.source = client, .destination = destination, .payload = std::span("?", 1)});
  if (::write(cable->second.raw(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    return errno_failure("write to " + packet.interface, errno);
  return {};
}

bool Replica::is_own(const TraceStep& step) { return step.event.table == own_table; }

TraceStep Replica::step_of(const TraceEvent& event) const {
  TraceStep step{.event = event, .chain = {event.family, event.table, event.chain, "", {}}, .rule = ""};
  for (const NftChain& chain : chains_) {
    if (chain.family != event.family || chain.table != event.table || chain.name != event.chain) continue;
    step.chain.hook = chain.hook;
    for (const std::string& rule : chain.rules)
      if (const auto [text, handle] = split_handle(rule); handle == event.handle && handle != 0) step.rule = text;
  }
  return step;
}

Result<std::vector<TraceStep>> Replica::follow(const PacketQuestion& packet, Until until) {
  if (const auto traced = nft_.run(trace_rules(packet)); !traced) return std::unexpected(traced.error());
  std::optional<NetworkNamespace::Inside> inside(std::in_place, where_);
  Result<NftTrace> trace = NftTrace::open();
  inside.reset();
  if (!trace) return std::unexpected(trace.error());
  if (Result<> sent = let_in(packet); !sent) return std::unexpected(sent.error());
  const Result<std::vector<TraceEvent>> events =
      trace->read([&](const TraceEvent& event) { return is_end(event, until); }, trace_patience);
  if (!events) return std::unexpected(events.error());
  std::vector<TraceStep> steps;
  for (const TraceEvent& event : *events) steps.push_back(step_of(event));
  return steps;
}

}  // namespace limpid
