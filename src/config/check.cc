// SPDX-License-Identifier: MIT
#include "config/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>

namespace limpid {
namespace {

void check_something_to_intercept(const Config& config, const Origins& origins, ConfigErrors& errors) {
  // Listeners may stand without interception: then nothing of [intercept] is wanted.
  const Intercept& intercept = config.intercept;
  const bool says_nothing = !intercept.is_wanted() && intercept.tcp.empty() && intercept.udp.empty();
  if ((origins.lists_any("listener") || !origins.is_usable("listener")) && says_nothing) return;
  const bool interfaces_known = origins.is_usable("intercept.interfaces") && origins.is_usable("intercept.local");
  if (interfaces_known && config.intercept.interfaces.empty() && !config.intercept.local)
    errors.push_back(
        {origins.place_of("intercept.interfaces"),
         "nothing to intercept: name the interfaces where clients come in, interfaces = [\"lan0\"] under "
         "[intercept] or --interface lan0, or take this machine's own connections, local = true or --local"});
  const bool ports_known = origins.is_usable("intercept.tcp") && origins.is_usable("intercept.udp");
  if (ports_known && config.intercept.tcp.empty() && config.intercept.udp.empty())
    errors.push_back({origins.place_of("intercept.tcp"),
                      "nothing to intercept: name the destination ports, tcp = [\"80\", \"443\"] under [intercept] or "
                      "--tcp 80,443, and udp or --udp likewise; \"all\" for every port"});
}

void check_marks(const Config& config, const Origins& origins, ConfigErrors& errors) {
  struct Named {
    const char* key;
    Mark mark;
  };
  const std::array<Named, 3> marks = {{{"intercept.mark", config.intercept.mark},
                                       {"intercept.local_mark", config.intercept.local_mark},
                                       {"intercept.own_mark", config.intercept.own_mark}}};
  for (std::size_t second = 1; second < marks.size(); ++second) {
    for (std::size_t first = 0; first < second; ++first) {
      const Named& a = marks[first];
      const Named& b = marks[second];
      if ((a.mark.mask & b.mark.mask) == 0 || !origins.is_usable(a.key) || !origins.is_usable(b.key)) continue;
      errors.push_back({origins.place_of(origins.has(b.key) ? b.key : a.key),
                        fmt::format("{} {} and {} {} overlap: each mark needs bits of its own", b.key, b.mark.text(),
                                    a.key, a.mark.text())});
    }
  }
}

void check_without_us(const Config& config, const Origins& origins, ConfigErrors& errors) {
  constexpr const char* without_us = "intercept.without_us";
  if (config.intercept.without_us != WithoutUs::closed || config.intercept.is_wanted() || config.listeners.empty())
    return;
  if (!origins.is_usable(without_us) || !origins.is_usable("intercept.interfaces") ||
      !origins.is_usable("intercept.local"))
    return;
  errors.push_back({origins.place_of(without_us),
                    "without_us = \"closed\" is about intercepted connections, and none are: leave it out, or name "
                    "interfaces"});
}

void check_keep_port(const Config& config, const Origins& origins, ConfigErrors& errors) {
  constexpr const char* keep_port = "transparency.keep_port";
  if (!origins.is_usable(keep_port) || config.transparency.keep_port != KeepPort::require) return;
  if (origins.is_usable("intercept.local") && config.intercept.local)
    errors.push_back(
        {origins.place_of(keep_port),
         "keep_port = \"require\" cannot go with local = true: a local connection has its address and port "
         "in use itself, so that only its address can be kept"});
  if (origins.is_usable("transparency.source") && config.transparency.source != Source::client)
    errors.push_back({origins.place_of(keep_port),
                      "keep_port = \"require\" needs source = \"client\": the other sources do not keep the port"});
}

void check_udp_source(const Config& config, const Origins& origins, ConfigErrors& errors) {
  if (!origins.is_usable("transparency.source") || !origins.is_usable("intercept.udp")) return;
  if (!config.intercept.udp.empty() && config.transparency.source == Source::self)
    errors.push_back(
        {origins.place_of("transparency.source"),
         "source = \"self\" is for tcp alone: datagrams keep their client's address and port. Take udp out, "
         "or choose \"client\" or \"address\""});
}

// ---- [[upstream]], [[rule]] and [[listener]]

// One entry, and what can be wrong with it. A message begins with what people call it.
class EntryCheck {
 public:
  EntryCheck(std::string_view table, std::size_t place, std::string_view name, const Origins& origins,
             ConfigErrors& errors)
      : origin_(entry_origin(table, place)),
        name_(name.empty() ? fmt::format("{} {}", table, place + 1) : fmt::format("{} \"{}\"", table, name)),
        origins_(origins),
        errors_(errors) {}

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool has(std::string_view key) const { return origins_.has(path(key)); }
  // Neither the key nor the entry as a whole says something that was refused.
  [[nodiscard]] bool is_usable(std::string_view key) const { return origins_.is_usable(path(key)); }
  // At the key's place, or where there is none, the entry's.
  void refuse(std::string_view key, std::string_view what) {
    errors_.push_back({origins_.place_of(has(key) ? path(key) : origin_), fmt::format("{}: {}", name_, what)});
  }

 private:
  [[nodiscard]] std::string path(std::string_view key) const { return fmt::format("{}.{}", origin_, key); }

  std::string origin_;
  std::string name_;
  const Origins& origins_;
  ConfigErrors& errors_;
};

template <class Entry>
void check_name(const std::vector<Entry>& entries, std::size_t place, EntryCheck& entry) {
  const std::string& name = entries[place].name;
  if (!entry.is_usable("name") || name.empty()) return;
  const auto same = std::ranges::find(entries, name, &Entry::name);
  if (static_cast<std::size_t>(same - entries.begin()) < place) entry.refuse("name", "there is another of this name");
}

bool is_word_of_action(std::string_view name) {
  return name == action_direct || name == action_reject || name == action_drop;
}

void check_upstreams(const Config& config, const Origins& origins, ConfigErrors& errors) {
  for (std::size_t place = 0; place < config.upstreams.size(); ++place) {
    const Upstream& upstream = config.upstreams[place];
    EntryCheck entry("upstream", place, upstream.name, origins, errors);
    check_name(config.upstreams, place, entry);
    if (upstream.name.empty() && entry.is_usable("name"))
      entry.refuse("name", "name it, name = \"...\": rules send flows there by its name");
    if (is_word_of_action(upstream.name) || upstream.name == action_rules)
      entry.refuse("name",
                   "\"direct\", \"reject\", \"drop\" and \"rules\" are actions of their own: choose another name");
    if (!entry.has("type")) entry.refuse("type", "say what it is: type = \"socks5\", \"http-connect\" or \"fixed\"");
    if (upstream.address.empty() && entry.is_usable("address"))
      entry.refuse("address", "say where it is: address = [\"192.0.2.7:1080\"]");
    if (upstream.username.empty() != upstream.password_file.empty() && entry.is_usable("username") &&
        entry.is_usable("password_file"))
      entry.refuse("username", "username and password_file go together");
    if (!entry.has("type") || !entry.is_usable("type")) continue;
    const bool is_fixed = upstream.type == UpstreamType::fixed;
    if (is_fixed)
      for (const char* key : {"username", "password_file", "send"})
        if (entry.has(key)) entry.refuse(key, fmt::format("{} is for socks5 and http-connect", key));
    if (!is_fixed && upstream.proxy_protocol != ProxyProtocol::off)
      entry.refuse("proxy_protocol",
                   "proxy_protocol is for fixed upstreams: the others are told the destination alone");
    if (upstream.check == UpstreamCheck::handshake && upstream.type != UpstreamType::socks5 && entry.is_usable("check"))
      entry.refuse("check", "check = \"handshake\" is for socks5: the others are asked to accept, check = \"connect\"");
    if (upstream.fast_open && (!is_fixed || upstream.proxy_protocol != ProxyProtocol::off))
      entry.refuse("fast_open",
                   "fast_open is for fixed upstreams without proxy_protocol: it is the client's first "
                   "bytes that go with the SYN");
  }
}

void check_verify_host(const Config& config, const Rule& rule, const Origins& origins, EntryCheck& entry) {
  constexpr const char* key = "verify_host";
  if (!rule.verify_host || !entry.is_usable(key)) return;
  if (!rule.asks_for_host() && entry.is_usable("host") && entry.is_usable("host_file"))
    entry.refuse(key, "verify_host needs the hosts to verify: host = [\"*.example.com\"] or host_file");
  if (rule.action == action_reject || rule.action == action_drop)
    entry.refuse(key, "verify_host is for rules that let a flow go: \"direct\" or the name of an upstream");
  const auto takes_dns = [](const PortRange& range) { return range.first <= dns_port && dns_port <= range.last; };
  if (origins.is_usable("intercept.udp") && std::ranges::none_of(config.intercept.udp, takes_dns))
    entry.refuse(key,
                 "verify_host needs to see the clients' DNS answers: take their port, udp = [\"53\"] under [intercept] "
                 "or --udp 53");
  if (origins.is_usable("intercept.local") && config.intercept.local && rule.from.empty() && entry.is_usable("from"))
    entry.refuse(key,
                 "verify_host cannot go with local = true: what this machine's own programs are answered is not seen. "
                 "Say which clients are meant, from = [\"10.1.0.0/16\"]");
}

// Where a rule is for datagrams alone; one that is for both has them refused.
void check_datagrams(const Rule& rule, const Upstream& upstream, EntryCheck& entry) {
  if (rule.proto != Protocol::udp || upstream.carries_datagrams()) return;
  const auto refuse = [&](std::string_view why, std::string_view way_out) {
    entry.refuse("action", fmt::format("upstream \"{}\" carries no datagrams: {}. {}", upstream.name, why, way_out));
  };
  if (upstream.type == UpstreamType::http_connect)
    refuse("HTTP CONNECT is for streams", "Name one of type \"socks5\" or \"fixed\", or \"reject\"");
  else if (upstream.proxy_protocol != ProxyProtocol::off)
    refuse("its proxy_protocol is for streams", "Take that out there, or name another");
  else
    refuse("they go there from this machine's own address", "Leave source = \"self\" there, or name another");
}

void check_rules(const Config& config, const Origins& origins, ConfigErrors& errors) {
  for (std::size_t place = 0; place < config.rules.size(); ++place) {
    const Rule& rule = config.rules[place];
    EntryCheck entry("rule", place, rule.name, origins, errors);
    check_name(config.rules, place, entry);
    if (!entry.has("action"))
      entry.refuse("action", "say what it does: action = \"direct\", \"reject\", \"drop\" or the name of an upstream");
    check_verify_host(config, rule, origins, entry);
    if (!entry.has("action") || !entry.is_usable("action") || is_word_of_action(rule.action)) continue;
    const auto upstream = std::ranges::find(config.upstreams, rule.action, &Upstream::name);
    if (upstream != config.upstreams.end())
      check_datagrams(rule, *upstream, entry);
    else if (origins.is_usable("upstream"))
      entry.refuse("action", fmt::format("there is no [[upstream]] named \"{}\": action is \"direct\", \"reject\", "
                                         "\"drop\" or the name of one",
                                         rule.action));
  }
}

// Where a listener's connections go.
void check_listener_action(const Config& config, const ListenerSettings& listener, EntryCheck& entry) {
  const bool is_plain = listener.accept == Accept::plain;
  if (!entry.is_usable("action") || !entry.is_usable("accept")) return;
  if (listener.action == action_rules) {
    if (is_plain)
      entry.refuse("action",
                   "say where its connections go, action = \"NAME\" of an [[upstream]]: accept = \"plain\" "
                   "knows of no destination that rules could look at");
    return;
  }
  const auto upstream = std::ranges::find(config.upstreams, listener.action, &Upstream::name);
  if (upstream == config.upstreams.end())
    return entry.refuse("action", fmt::format("there is no [[upstream]] named \"{}\": action is \"rules\" or the name "
                                              "of one",
                                              listener.action));
  if (is_plain && (upstream->type != UpstreamType::fixed || upstream->when_down == WhenDown::direct))
    entry.refuse("action", fmt::format("upstream \"{}\" needs a destination, of which accept = \"plain\" knows none: "
                                       "let it be of type \"fixed\", without when_down = \"direct\"",
                                       listener.action));
}

void check_listeners(const Config& config, const Origins& origins, ConfigErrors& errors) {
  std::map<Endpoint, std::string> taken;  // by which listener
  for (std::size_t place = 0; place < config.listeners.size(); ++place) {
    const ListenerSettings& listener = config.listeners[place];
    EntryCheck entry("listener", place, listener.name, origins, errors);
    check_name(config.listeners, place, entry);
    if (listener.listen.empty() && entry.is_usable("listen"))
      entry.refuse("listen", "say where it listens: listen = [\"192.0.2.1:443\"]");
    for (const Endpoint& at : listener.listen)
      if (const auto [before, is_free] = taken.try_emplace(at, entry.name()); !is_free)
        entry.refuse("listen", fmt::format("{} is taken already, by {}", at.text(), before->second));
    const bool is_told = listener.accept == Accept::proxy_protocol;
    if (entry.is_usable("accept") && entry.is_usable("trusted") && is_told && listener.trusted.empty())
      entry.refuse("trusted",
                   "say whose word is taken, trusted = [\"192.0.2.0/24\"]: whoever may send a header of the "
                   "PROXY protocol may pose as anybody");
    if (entry.is_usable("accept") && !is_told && entry.has("trusted"))
      entry.refuse("trusted", "trusted is for accept = \"proxy-protocol\"");
    if (origins.is_usable("upstream")) check_listener_action(config, listener, entry);
  }
}

}  // namespace

ConfigErrors check(const Config& config, const Origins& origins) {
  ConfigErrors errors;
  check_something_to_intercept(config, origins, errors);
  check_without_us(config, origins, errors);
  check_marks(config, origins, errors);
  check_keep_port(config, origins, errors);
  check_udp_source(config, origins, errors);
  check_upstreams(config, origins, errors);
  check_rules(config, origins, errors);
  check_listeners(config, origins, errors);
  return errors;
}

}  // namespace limpid
