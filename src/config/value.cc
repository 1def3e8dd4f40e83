// SPDX-License-Identifier: MIT
#include "config/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "base/ascii.h"
#include "base/check.h"

namespace limpid {
namespace {

template <class Value>
struct Word {
  std::string_view word;
  Value value;
};

constexpr auto flag_words = std::to_array<Word<bool>>({{"true", true}, {"false", false}});
constexpr auto without_us_words =
    std::to_array<Word<WithoutUs>>({{"open", WithoutUs::open}, {"closed", WithoutUs::closed}});
constexpr auto source_words =
    std::to_array<Word<Source>>({{"client", Source::client}, {"address", Source::address}, {"self", Source::self}});
constexpr auto keep_port_words =
    std::to_array<Word<KeepPort>>({{"prefer", KeepPort::prefer}, {"require", KeepPort::require}});
constexpr auto handover_words = std::to_array<Word<Handover>>({{"auto", Handover::automatic}, {"off", Handover::off}});
constexpr auto log_level_words = std::to_array<Word<LogLevel>>(
    {{"debug", LogLevel::debug}, {"info", LogLevel::info}, {"warning", LogLevel::warning}, {"error", LogLevel::error}});

constexpr auto proto_words = std::to_array<Word<Protocol>>({{"tcp", Protocol::tcp}, {"udp", Protocol::udp}});
constexpr auto app_words = [] {
  std::array<Word<Application>, applications> words{};
  for (std::size_t place = 0; place < applications; ++place)
    words[place] = {application_names[place], static_cast<Application>(place)};
  return words;
}();
constexpr auto upstream_type_words = std::to_array<Word<UpstreamType>>(
    {{"socks5", UpstreamType::socks5}, {"http-connect", UpstreamType::http_connect}, {"fixed", UpstreamType::fixed}});
constexpr auto send_words = std::to_array<Word<Send>>({{"address", Send::address}, {"host", Send::host}});
constexpr auto proxy_protocol_words = std::to_array<Word<ProxyProtocol>>(
    {{"off", ProxyProtocol::off}, {"v1", ProxyProtocol::v1}, {"v2", ProxyProtocol::v2}});
constexpr auto when_down_words = std::to_array<Word<WhenDown>>(
    {{"reject", WhenDown::reject}, {"direct", WhenDown::direct}, {"drop", WhenDown::drop}});
constexpr auto check_words =
    std::to_array<Word<UpstreamCheck>>({{"connect", UpstreamCheck::connect}, {"handshake", UpstreamCheck::handshake}});
constexpr auto accept_words = std::to_array<Word<Accept>>(
    {{"plain", Accept::plain}, {"proxy-protocol", Accept::proxy_protocol}, {"transparent", Accept::transparent}});
constexpr auto hash_words = std::to_array<Word<Hash>>({{"off", Hash::off}, {"client", Hash::client}});

template <class Words>
auto parse_word(std::string_view text, const Words& words) -> Result<decltype(words[0].value)> {
  std::string known;
  for (const auto& [word, value] : words) {
    if (text == word) return value;
    known += fmt::format("{}\"{}\"", known.empty() ? "" : word == words.back().word ? " or " : ", ", word);
  }
  return failure(fmt::format("\"{}\" is not {}", text, known));
}

template <class Words, class Value>
std::string word_of(const Words& words, Value value) {
  const auto found = std::ranges::find(words, value, [](const auto& word) { return word.value; });
  CHECK(found != words.end());
  return std::string(found->word);
}

// The whole of `text` as a decimal number between two bounds.
template <class Number>
Result<Number> parse_number(std::string_view text, Number least, Number most) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most)
    return failure(fmt::format("\"{}\" is not a whole number from {} to {}", text, least, most));
  return number;
}

struct Unit {
  std::string_view name;
  std::int64_t milliseconds;
};
constexpr auto units =
    std::to_array<Unit>({{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}});
constexpr std::int64_t longest_timeout = 365 * units[0].milliseconds;

}  // namespace

Result<bool> parse_flag(std::string_view text) { return parse_word(text, flag_words); }
Result<WithoutUs> parse_without_us(std::string_view text) { return parse_word(text, without_us_words); }
Result<Source> parse_source(std::string_view text) { return parse_word(text, source_words); }
Result<KeepPort> parse_keep_port(std::string_view text) { return parse_word(text, keep_port_words); }
Result<Handover> parse_handover(std::string_view text) { return parse_word(text, handover_words); }
Result<LogLevel> parse_log_level(std::string_view text) { return parse_word(text, log_level_words); }

Result<Protocol> parse_proto(std::string_view text) { return parse_word(text, proto_words); }
Result<Application> parse_app(std::string_view text) { return parse_word(text, app_words); }
Result<UpstreamType> parse_upstream_type(std::string_view text) { return parse_word(text, upstream_type_words); }
Result<Send> parse_send(std::string_view text) { return parse_word(text, send_words); }
Result<ProxyProtocol> parse_proxy_protocol(std::string_view text) { return parse_word(text, proxy_protocol_words); }
Result<WhenDown> parse_when_down(std::string_view text) { return parse_word(text, when_down_words); }
Result<UpstreamCheck> parse_check(std::string_view text) { return parse_word(text, check_words); }
Result<Hash> parse_hash(std::string_view text) { return parse_word(text, hash_words); }
Result<Accept> parse_accept(std::string_view text) { return parse_word(text, accept_words); }

Result<std::string> parse_name(std::string_view text) {
  if (text.empty() || text.size() > 64 || text.find_first_of("\"\\") != std::string_view::npos)
    return failure(fmt::format("\"{}\" is not a name: 1 to 64 bytes without '\"' and '\\'", text));
  return std::string(text);
}

Result<std::string> parse_username(std::string_view text) {
  if (text.empty() || text.size() > 255 || text.contains(':'))
    return failure(fmt::format("\"{}\" is not a user name for an upstream: 1 to 255 bytes without ':'", text));
  return std::string(text);
}

Result<std::string> parse_path(std::string_view text) {
  if (!text.starts_with('/')) return failure(fmt::format("\"{}\" is not a path that begins with '/'", text));
  return std::string(text);
}

Result<DayPart> parse_day_part(std::string_view text) {
  const auto refused = [text] {
    return failure(fmt::format("\"{}\" is not a part of the day like \"08:00-18:00\" or \"22:00-06:00\"", text));
  };
  const auto minutes_of = [](std::string_view time) -> std::optional<std::chrono::minutes> {
    if (time.size() != 5 || time[2] != ':') return std::nullopt;
    const Result<int> hours = parse_number(time.substr(0, 2), 0, 24), minutes = parse_number(time.substr(3), 0, 59);
    if (!hours || !minutes || *hours * 60 + *minutes > 24 * 60) return std::nullopt;
    return std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
  };
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return refused();
  const std::optional from = minutes_of(text.substr(0, dash)), until = minutes_of(text.substr(dash + 1));
  if (!from || !until || *from == std::chrono::hours(24)) return refused();
  if (*from == *until) return failure(fmt::format("\"{}\" is no time at all: leave time out to match always", text));
  return DayPart{*from, *until};
}

Result<std::string> parse_interface(std::string_view text) {
  const auto refused = [text](std::string_view why) { return failure(fmt::format("\"{}\": {}", text, why)); };
  if (text.empty() || text.size() > 15) return refused("the name of an interface has 1 to 15 bytes");
  if (text == "." || text == ".." || text.find_first_of("/:\"\\ \t") != std::string_view::npos)
    return refused("an interface's name has no spaces, quotes, '/', '\\' or ':'");
  const std::size_t star = text.find('*');
  if (star != std::string_view::npos && star != text.size() - 1) return refused("'*' can only be the last character");
  if (text == "*") return refused("name something before the '*': it would cover every interface");
  if (text == "lo" || text == "lo*" || text == "l*")
    return refused("lo is not for clients: for this machine's own connections use local = true (--local)");
  return std::string(text);
}

Result<PortRange> parse_ports(std::string_view text) {
  return text == "all" ? PortRange::all() : PortRange::parse(text);
}

Result<std::uint32_t> parse_table(std::string_view text) {
  Result<std::uint32_t> table = parse_number<std::uint32_t>(text, 1, std::numeric_limits<std::uint32_t>::max());
  if (table && *table >= 253 && *table <= 255)
    return failure(fmt::format("\"{}\" is one of the kernel's own tables (253 to 255): choose another", text));
  return table;
}

Result<std::uint32_t> parse_priority(std::string_view text) { return parse_number<std::uint32_t>(text, 1, 32764); }

Result<std::uint64_t> parse_sessions(std::string_view text) {
  // A session has descriptors of its own, and a descriptor is an int.
  return parse_number<std::uint64_t>(text, 0, std::numeric_limits<int>::max());
}

Result<std::uint64_t> parse_flows(std::string_view text) { return parse_number<std::uint64_t>(text, 1, 1 << 20); }

Result<std::chrono::milliseconds> parse_timeout(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit_name = text.substr(static_cast<std::size_t>(end - text.data()));
  const auto unit = std::ranges::find(units, unit_name, &Unit::name);
  if (error != std::errc::invalid_argument && unit_name.empty())
    return failure(fmt::format("\"{0}\" has no unit: write \"{0}s\" (or ms, m, h, d)", text));
  if (error == std::errc::invalid_argument || unit == units.end())
    return failure(fmt::format("\"{}\" is not a duration like \"500ms\", \"10s\", \"10m\", \"2h\" or \"1d\"", text));
  if (count <= 0 && error == std::errc())
    return failure(fmt::format("\"{}\": a timeout must be longer than nothing", text));
  if (error == std::errc::result_out_of_range || count > longest_timeout / unit->milliseconds)
    return failure(fmt::format("\"{}\" is too long: at most \"365d\"", text));
  return std::chrono::milliseconds(count * unit->milliseconds);
}

Result<std::chrono::milliseconds> parse_check_interval(std::string_view text) {
  if (text == value_text(std::chrono::milliseconds::zero())) return std::chrono::milliseconds::zero();
  return parse_timeout(text);
}

Result<std::chrono::milliseconds> parse_identify_timeout(std::string_view text) {
  Result<std::chrono::milliseconds> timeout = parse_timeout(text);
  if (timeout && *timeout > std::chrono::minutes(1))
    return failure(fmt::format("\"{}\" is too long: clients wait for it, at most \"1m\"", text));
  return timeout;
}

Result<std::string> parse_access(std::string_view text) {
  if (text != "stdout" && text != "off" && !text.starts_with('/'))
    return failure(fmt::format("\"{}\" is not \"stdout\", \"off\" or a path that begins with '/'", text));
  return std::string(text);
}

Result<std::string> parse_user(std::string_view text) {
  const auto is_allowed = [](char byte) {
    return is_letter(byte) || is_digit(byte) || byte == '_' || byte == '-' || byte == '.';
  };
  if (text.empty() || text.size() > 32 || !std::ranges::all_of(text, is_allowed) ||
      !(is_letter(text.front()) || text.front() == '_'))
    return failure(
        fmt::format("\"{}\" is not a user name (a letter, then letters, digits, '_', '-', '.'; at most 32)", text));
  if (text == "root" || text == "nobody")
    return failure(fmt::format("\"{}\" is shared with others: the worker needs a user of its own", text));
  return std::string(text);
}

std::string value_text(bool value) { return word_of(flag_words, value); }
std::string value_text(WithoutUs value) { return word_of(without_us_words, value); }
std::string value_text(Source value) { return word_of(source_words, value); }
std::string value_text(KeepPort value) { return word_of(keep_port_words, value); }
std::string value_text(Handover value) { return word_of(handover_words, value); }
std::string value_text(LogLevel value) { return word_of(log_level_words, value); }
std::string value_text(std::uint32_t value) { return std::to_string(value); }
std::string value_text(std::uint64_t value) { return std::to_string(value); }
std::string value_text(const std::string& value) { return value; }
std::string value_text(const PortRange& value) { return value == PortRange::all() ? "all" : value.text(); }
std::string value_text(const Prefix& value) { return value.text(); }
std::string value_text(const Mark& value) { return value.text(); }
std::string value_text(const Endpoint& value) { return value.text(); }
std::string value_text(Protocol value) { return word_of(proto_words, value); }
std::string value_text(Application value) { return word_of(app_words, value); }
std::string value_text(UpstreamType value) { return word_of(upstream_type_words, value); }
std::string value_text(Send value) { return word_of(send_words, value); }
std::string value_text(ProxyProtocol value) { return word_of(proxy_protocol_words, value); }
std::string value_text(WhenDown value) { return word_of(when_down_words, value); }
std::string value_text(UpstreamCheck value) { return word_of(check_words, value); }
std::string value_text(Hash value) { return word_of(hash_words, value); }
std::string value_text(Accept value) { return word_of(accept_words, value); }

std::string value_text(const DayPart& value) {
  const auto time = [](std::chrono::minutes at) {
    return fmt::format("{:02}:{:02}", at.count() / 60, at.count() % 60);
  };
  return fmt::format("{}-{}", time(value.from), time(value.until));
}

std::string value_text(std::chrono::milliseconds value) {
  if (value == std::chrono::milliseconds::zero()) return "0s";
  const auto divides = [value](const Unit& unit) { return value.count() % unit.milliseconds == 0; };
  const auto unit = std::ranges::find_if(units, divides);  // the last one, 1 ms, always does
  return fmt::format("{}{}", value.count() / unit->milliseconds, unit->name);
}

bool is_plain_text(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = [&](std::size_t offset) -> unsigned {
      return at + offset < text.size() ? static_cast<unsigned char>(text[at + offset]) : 0U;
    };
    const unsigned lead = byte(0);
    if (lead < 0x20 || lead == 0x7f) return false;
    const unsigned length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    if (length == 0) return false;
    unsigned point = length == 1 ? lead : lead & (0x7fU >> length);
    for (unsigned offset = 1; offset < length; ++offset) {
      if (byte(offset) >> 6 != 2) return false;
      point = point << 6 | (byte(offset) & 0x3fU);
    }
    // The shortest form only, and no surrogates (RFC 3629, section 3).
    constexpr std::array<unsigned, 5> least = {0, 0, 0x80, 0x800, 0x10000};
    if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    at += length;
  }
  return true;
}

}  // namespace limpid
