// SPDX-License-Identifier: MIT
#include "config/keys.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "config/value.h"
#include "policy/host_table.h"

namespace limpid {
namespace {

struct Words {
  std::string_view path;
  std::string_view option{};
  std::string_view placeholder{};
  std::string_view help{};
  std::string_view wanted;
};

template <class Value>
constexpr Shape shape_of() {
  if constexpr (std::is_same_v<Value, bool>)
    return Shape::flag;
  else if constexpr (std::is_integral_v<Value>)
    return Shape::number;
  else
    return Shape::text;
}

template <class Value>
struct Plain {
  using type = Value;
};
template <class Value>
struct Plain<std::optional<Value>> {
  using type = Value;
};

// A key with one value. `Access` finds it in an Object, `Parse` reads it.
template <class Object, auto Access, auto Parse>
constexpr KeyOf<Object> single(const Words& words) {
  using Value = std::remove_cvref_t<decltype(Access(std::declval<Object&>()))>;
  using Content = typename Plain<Value>::type;
  return {.path = words.path,
          .option = words.option,
          .placeholder = words.placeholder,
          .help = words.help,
          .wanted = words.wanted,
          .shape = shape_of<Content>(),
          .set = [](Object& object, std::string_view text) -> Result<> {
            auto value = Parse(text);
            if (!value) return std::unexpected(std::move(value).error());
            Access(object) = *std::move(value);
            return {};
          },
          .clear = [](Object&) {},
          .texts = [](const Object& object) -> std::vector<std::string> {
            const Value& value = Access(object);
            if constexpr (std::is_same_v<Value, Content>)
              return {value_text(value)};
            else
              return value ? std::vector{value_text(*value)} : std::vector<std::string>{};
          }};
}

// A key with a list of values, read one by one.
template <class Object, auto Access, auto Parse>
constexpr KeyOf<Object> several(const Words& words) {
  return {.path = words.path,
          .option = words.option,
          .placeholder = words.placeholder,
          .help = words.help,
          .wanted = words.wanted,
          .shape = Shape::list,
          .set = [](Object& object, std::string_view text) -> Result<> {
            auto value = Parse(text);
            if (!value) return std::unexpected(std::move(value).error());
            Access(object).push_back(*std::move(value));
            return {};
          },
          .clear = [](Object& object) { Access(object).clear(); },
          .texts =
              [](const Object& object) {
                std::vector<std::string> texts;
                for (const auto& value : Access(object)) texts.push_back(value_text(value));
                return texts;
              }};
}

// Config's member Table, its member Field, and what reads it.
template <auto Table, auto Field>
constexpr auto in_table = [](auto& config) -> auto& { return config.*Table.*Field; };
template <auto Table, auto Field, auto Parse>
constexpr Key one(const Words& words) {
  return single<Config, in_table<Table, Field>, Parse>(words);
}
template <auto Table, auto Field, auto Parse>
constexpr Key list(const Words& words) {
  return several<Config, in_table<Table, Field>, Parse>(words);
}

// The same of an entry of a list of tables, which the command line cannot set.
struct EntryWords {
  std::string_view path;
  std::string_view wanted;
};
template <auto Field>
constexpr auto in_entry = [](auto& entry) -> auto& { return entry.*Field; };
template <class Entry, auto Field, auto Parse>
constexpr KeyOf<Entry> one_of(const EntryWords& words) {
  return single<Entry, in_entry<Field>, Parse>({.path = words.path, .wanted = words.wanted});
}
template <class Entry, auto Field, auto Parse>
constexpr KeyOf<Entry> list_of(const EntryWords& words) {
  return several<Entry, in_entry<Field>, Parse>({.path = words.path, .wanted = words.wanted});
}

constexpr std::string_view a_flag = "true or false, without quotes";
constexpr std::string_view a_mark = "a mark in quotes like \"0x10000000/0x10000000\"";
constexpr std::string_view prefixes = "a list of prefixes like [\"10.0.0.0/8\", \"2001:db8::/32\"]";
constexpr std::string_view a_duration = "a duration in quotes with its unit, like \"10s\", \"10m\" or \"2h\"";

constexpr auto table_of_keys = std::to_array<Key>({
    list<&Config::intercept, &Intercept::interfaces, parse_interface>(
        {"intercept.interfaces", "--interface", "NAME,...", "Interfaces where clients come in; a name may end in '*'",
         "a list of names like [\"lan0\", \"wg*\"]"}),
    list<&Config::intercept, &Intercept::tcp, parse_ports>({"intercept.tcp", "--tcp", "PORT,...",
                                                            "Destination ports to take: 80, 8000-8999 or all",
                                                            "a list of ports in quotes like [\"80\", \"8000-8999\"]"}),
    list<&Config::intercept, &Intercept::udp, parse_ports>(
        {"intercept.udp", "--udp", "PORT,...", "Destination ports of datagrams to take: 53, 8000-8999 or all",
         "a list of ports in quotes like [\"53\", \"443\"]"}),
    one<&Config::intercept, &Intercept::local, parse_flag>({"intercept.local", "--local", "BOOL",
                                                            "Also take connections that this machine itself opens",
                                                            "true or false, without quotes"}),
    list<&Config::intercept, &Intercept::bypass, &Prefix::parse>(
        {"intercept.bypass", "--bypass", "PREFIX,...", "Destinations never taken", prefixes}),
    list<&Config::intercept, &Intercept::bypass_from, &Prefix::parse>(
        {"intercept.bypass_from", "--bypass-from", "PREFIX,...", "Clients never taken", prefixes}),
    one<&Config::intercept, &Intercept::without_us, parse_without_us>(
        {"intercept.without_us", "--without-us", "open|closed",
         "New connections while nobody is there to take them: they flow directly, or are refused at once",
         "\"open\" or \"closed\""}),
    one<&Config::intercept, &Intercept::mark, &Mark::parse>(
        {"intercept.mark", "--mark", "MARK/MASK", "Packet mark of forwarded traffic", a_mark}),
    one<&Config::intercept, &Intercept::local_mark, &Mark::parse>(
        {"intercept.local_mark", "--local-mark", "MARK/MASK", "Packet mark of this machine's own traffic", a_mark}),
    one<&Config::intercept, &Intercept::own_mark, &Mark::parse>(
        {"intercept.own_mark", "--own-mark", "MARK/MASK", "Mark of limpid's own sockets", a_mark}),
    one<&Config::intercept, &Intercept::table, parse_table>(
        {"intercept.table", "--table", "NUMBER", "Route table to use", "a number without quotes, like 5300"}),
    one<&Config::intercept, &Intercept::priority, parse_priority>({"intercept.priority", "--priority", "NUMBER",
                                                                   "Priority of the ip rules",
                                                                   "a number without quotes, like 100"}),
    one<&Config::transparency, &Transparency::source, parse_source>(
        {"transparency.source", "--source", "client|address|self",
         "What the destination sees: the client's address and port, its address alone, or this machine's own",
         "\"client\", \"address\" or \"self\""}),
    one<&Config::transparency, &Transparency::keep_port, parse_keep_port>(
        {"transparency.keep_port", "--keep-port", "prefer|require",
         "Where the client's port cannot be had: use another, or refuse", "\"prefer\" or \"require\""}),
    one<&Config::transparency, &Transparency::handover, parse_handover>(
        {"transparency.handover", "--handover", "auto|off",
         "Whether the kernel forwards UDP flows by itself once they are known to go direct", "\"auto\" or \"off\""}),
    one<&Config::limits, &Limits::sessions, parse_sessions>(
        {"limits.sessions", "--sessions", "NUMBER", "Sessions at a time; 0: as many as the file descriptors allow",
         "a number without quotes, like 0"}),
    one<&Config::limits, &Limits::connect_timeout, parse_timeout>({"limits.connect_timeout", "--connect-timeout",
                                                                   "TIME", "How long a destination may take to accept",
                                                                   a_duration}),
    one<&Config::limits, &Limits::identify_timeout, parse_identify_timeout>(
        {"limits.identify_timeout", "--identify-timeout", "TIME",
         "How long to wait for a client's first bytes where a rule asks for a host or an application", a_duration}),
    one<&Config::limits, &Limits::idle_timeout, parse_timeout>({"limits.idle_timeout", "--idle-timeout", "TIME",
                                                                "End a session that has moved no byte for so long",
                                                                a_duration}),
    one<&Config::limits, &Limits::half_closed_timeout, parse_timeout>(
        {"limits.half_closed_timeout", "--half-closed-timeout", "TIME",
         "The same, for a session of which one end has finished", a_duration}),
    one<&Config::limits, &Limits::drain_timeout, parse_timeout>({"limits.drain_timeout", "--drain-timeout", "TIME",
                                                                 "How long sessions may go on after a request to stop",
                                                                 a_duration}),
    one<&Config::limits, &Limits::udp_flows, parse_flows>({"limits.udp_flows", "--udp-flows", "NUMBER",
                                                           "UDP flows relayed at a time; the least recently used goes",
                                                           "a number without quotes, like 65536"}),
    one<&Config::limits, &Limits::udp_flows_per_client, parse_flows>(
        {"limits.udp_flows_per_client", "--udp-flows-per-client", "NUMBER", "The same, for one client's address",
         "a number without quotes, like 8192"}),
    one<&Config::limits, &Limits::unanswered_timeout, parse_timeout>(
        {"limits.unanswered_timeout", "--unanswered-timeout", "TIME", "Forget a UDP flow that nothing has answered",
         a_duration}),
    one<&Config::limits, &Limits::answered_timeout, parse_timeout>(
        {"limits.answered_timeout", "--answered-timeout", "TIME", "Forget a UDP flow that has been idle for so long",
         a_duration}),
    one<&Config::limits, &Limits::verify_host_grace, parse_timeout>(
        {"limits.verify_host_grace", "--verify-host-grace", "TIME",
         "How much longer than its TTL an address of a DNS answer is good for rules that verify hosts", a_duration}),
    one<&Config::log, &Log::level, parse_log_level>({"log.level", "--log-level", "LEVEL",
                                                     "Least level of messages: debug, info, warning or error",
                                                     "\"debug\", \"info\", \"warning\" or \"error\""}),
    one<&Config::log, &Log::access, parse_access>({"log.access", "--access-log", "PATH|stdout|off",
                                                   "Where the access log goes",
                                                   "a path, \"stdout\" or \"off\", in quotes"}),
    one<&Config::process, &Process::user, parse_user>(
        {"process.user", "--user", "NAME", "The worker's user", "a user's name in quotes"}),
});

constexpr auto table_of_rule_keys = std::to_array<KeyOf<Rule>>({
    one_of<Rule, &Rule::name, parse_name>({"rule.name", "a name in quotes"}),
    list_of<Rule, &Rule::from, &Prefix::parse>({"rule.from", prefixes}),
    list_of<Rule, &Rule::to, &Prefix::parse>({"rule.to", prefixes}),
    list_of<Rule, &Rule::port, parse_ports>({"rule.port", "a list of ports in quotes like [\"80\", \"8000-8999\"]"}),
    one_of<Rule, &Rule::proto, parse_proto>({"rule.proto", "\"tcp\" or \"udp\""}),
    list_of<Rule, &Rule::host, parse_host_pattern>(
        {"rule.host", "a list of names like [\"example.com\", \"*.example.com\"]"}),
    one_of<Rule, &Rule::host_file, parse_path>({"rule.host_file", "a path in quotes"}),
    one_of<Rule, &Rule::verify_host, parse_flag>({"rule.verify_host", "true or false, without quotes"}),
    list_of<Rule, &Rule::app, parse_app>({"rule.app", "a list like [\"tls\", \"http\"]"}),
    one_of<Rule, &Rule::time, parse_day_part>({"rule.time", "a part of the day like \"22:00-06:00\""}),
    one_of<Rule, &Rule::action, parse_name>(
        {"rule.action", "\"direct\", \"reject\", \"drop\" or the name of an upstream"}),
});

constexpr auto table_of_upstream_keys = std::to_array<KeyOf<Upstream>>({
    one_of<Upstream, &Upstream::name, parse_name>({"upstream.name", "a name in quotes"}),
    one_of<Upstream, &Upstream::type, parse_upstream_type>(
        {"upstream.type", "\"socks5\", \"http-connect\" or \"fixed\""}),
    list_of<Upstream, &Upstream::address, &Endpoint::parse>(
        {"upstream.address", "a list of addresses with their ports like [\"192.0.2.7:1080\", \"[2001:db8::7]:1080\"]"}),
    one_of<Upstream, &Upstream::username, parse_username>({"upstream.username", "text in quotes"}),
    one_of<Upstream, &Upstream::password_file, parse_path>({"upstream.password_file", "a path in quotes"}),
    one_of<Upstream, &Upstream::send, parse_send>({"upstream.send", "\"address\" or \"host\""}),
    one_of<Upstream, &Upstream::proxy_protocol, parse_proxy_protocol>(
        {"upstream.proxy_protocol", "\"off\", \"v1\" or \"v2\""}),
    one_of<Upstream, &Upstream::source, parse_source>({"upstream.source", "\"self\", \"address\" or \"client\""}),
    one_of<Upstream, &Upstream::when_down, parse_when_down>(
        {"upstream.when_down", "\"reject\", \"direct\" or \"drop\""}),
    one_of<Upstream, &Upstream::hash, parse_hash>({"upstream.hash", "\"off\" or \"client\""}),
    one_of<Upstream, &Upstream::fast_open, parse_flag>({"upstream.fast_open", a_flag}),
    one_of<Upstream, &Upstream::sessions, parse_sessions>({"upstream.sessions", "a number without quotes, like 0"}),
    one_of<Upstream, &Upstream::connect_timeout, parse_timeout>({"upstream.connect_timeout", a_duration}),
    one_of<Upstream, &Upstream::check_interval, parse_check_interval>({"upstream.check_interval", a_duration}),
    one_of<Upstream, &Upstream::check, parse_check>({"upstream.check", "\"connect\" or \"handshake\""}),
});

constexpr auto table_of_listener_keys = std::to_array<KeyOf<ListenerSettings>>({
    one_of<ListenerSettings, &ListenerSettings::name, parse_name>({"listener.name", "a name in quotes"}),
    list_of<ListenerSettings, &ListenerSettings::listen, &Endpoint::parse>(
        {"listener.listen", "a list of addresses with their ports like [\"192.0.2.1:80\", \"[::]:80\"]"}),
    one_of<ListenerSettings, &ListenerSettings::accept, parse_accept>(
        {"listener.accept", "\"plain\", \"proxy-protocol\" or \"transparent\""}),
    list_of<ListenerSettings, &ListenerSettings::trusted, &Prefix::parse>({"listener.trusted", prefixes}),
    one_of<ListenerSettings, &ListenerSettings::action, parse_name>(
        {"listener.action", "\"rules\" or the name of an upstream"}),
    one_of<ListenerSettings, &ListenerSettings::fast_open, parse_flag>({"listener.fast_open", a_flag}),
});

}  // namespace

std::span<const KeyOf<Rule>> rule_keys() { return table_of_rule_keys; }

std::span<const KeyOf<Upstream>> upstream_keys() { return table_of_upstream_keys; }

std::span<const KeyOf<ListenerSettings>> listener_keys() { return table_of_listener_keys; }

std::span<const Key> config_keys() { return table_of_keys; }

const Key* find_key(std::string_view path) {
  const auto found = std::ranges::find(table_of_keys, path, &Key::path);
  return found == table_of_keys.end() ? nullptr : &*found;
}

}  // namespace limpid
