// SPDX-License-Identifier: MIT
#include "protocol/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/check.h"

namespace limpid {
namespace {

constexpr auto signature =
    std::to_array<std::uint8_t>({0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a});
constexpr std::size_t fixed_size = 16;                                                 // of version 2
constexpr std::size_t shortest_header = std::string_view("PROXY UNKNOWN\r\n").size();  // of either version

enum Command : std::uint8_t { local = 0x20, proxied = 0x21 };
enum Family : std::uint8_t { unspecified = 0, inet = 1, inet6 = 2, local_socket = 3 };
enum Transport : std::uint8_t { stream = 1, datagram = 2 };
enum Tlv : std::uint8_t { authority = 0x02, unique_id = 0x05 };

Answer refuse(std::string_view why) {
  return Answer::refuse(Refusal::Kind::protocol_error, fmt::format("PROXY protocol: {}", why));
}
Answer refuse_line() { return refuse("malformed line"); }

bool is_ipv4(const ProxiedConnection& connection) {
  return connection.client.family() == AF_INET && connection.destination.family() == AF_INET;
}

// Version 1 knows groups of hexadecimal digits only, where inet_ntop(3) writes some addresses with a dotted end.
std::string line_text(const Address& address) {
  std::string text = address.text();
  if (address.family() == AF_INET || text.find('.') == std::string::npos) return text;
  text.clear();
  for (int at = 0; at < 16; at += 2)
    text += fmt::format("{}{:x}", at == 0 ? "" : ":", address.bytes()[at] << 8 | address.bytes()[at + 1]);
  return text;
}

void append(std::vector<std::uint8_t>& bytes, const Address& address) {
  bytes.insert(bytes.end(), address.bytes(), address.bytes() + address.bits() / 8);
}
void append(std::vector<std::uint8_t>& bytes, std::size_t number) {  // of 16 bits
  bytes.push_back(static_cast<std::uint8_t>(number >> 8));
  bytes.push_back(static_cast<std::uint8_t>(number & 0xff));
}
void append(std::vector<std::uint8_t>& bytes, Tlv type, std::string_view value) {
  if (value.empty()) return;
  bytes.push_back(type);
  append(bytes, value.size());
  bytes.insert(bytes.end(), value.begin(), value.end());
}

std::size_t number_at(Bytes bytes, std::size_t at) { return static_cast<std::size_t>(bytes[at] << 8 | bytes[at + 1]); }

// Takes what stands before the next space, and the space. False: there is none, or nothing before it.
bool take_word(std::string_view& rest, std::string_view& word) {
  const std::size_t space = rest.find(' ');
  if (space == 0 || space == std::string_view::npos) return false;
  word = rest.substr(0, space);
  rest.remove_prefix(space + 1);
  return true;
}

bool parse_address(std::string_view text, int family, Address& address) {
  const Result<Address> parsed = Address::parse(text);
  if (!parsed || parsed->family() != family) return false;
  address = parsed->unmapped();
  return true;
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  if (text.starts_with('0') && text != "0") return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size();
}

struct LineStart {
  std::string_view text;
  std::string_view alphabet;  // of what follows; empty: a space, then anything
  int family;
};
constexpr auto line_starts = std::to_array<LineStart>({{"PROXY TCP4 ", "0123456789. ", AF_INET},
                                                       {"PROXY TCP6 ", "0123456789abcdefABCDEF:. ", AF_INET6},
                                                       {"PROXY UNKNOWN", "", AF_UNSPEC}});

// Whether a line may begin so.
bool may_begin(const LineStart& start, std::string_view line) {
  if (line.size() <= start.text.size()) return start.text.starts_with(line);
  if (!line.starts_with(start.text)) return false;
  const std::string_view rest = line.substr(start.text.size());
  return start.alphabet.empty() ? rest.front() == ' '
                                : rest.find_first_not_of(start.alphabet) == std::string_view::npos;
}

// A line without its CRLF, of which may_begin() is true.
bool parse_line(const LineStart& start, std::string_view line, std::optional<ProxiedConnection>& connection) {
  if (!line.starts_with(start.text)) return false;
  connection.reset();
  if (start.family == AF_UNSPEC) return true;
  std::string_view rest = line.substr(start.text.size()), client, destination, client_port;
  ProxiedConnection said;
  if (!take_word(rest, client) || !take_word(rest, destination) || !take_word(rest, client_port) ||
      !parse_address(client, start.family, said.client.address) ||
      !parse_address(destination, start.family, said.destination.address) ||
      !parse_port(client_port, said.client.port) || !parse_port(rest, said.destination.port))
    return false;
  connection = said;
  return true;
}

Answer parse_v1(Bytes so_far, std::optional<ProxiedConnection>& connection) {
  constexpr std::size_t limit = ProxyHeaderReader::v1_limit;
  const std::string_view text(reinterpret_cast<const char*>(so_far.data()), std::min(so_far.size(), limit));
  const std::size_t end = text.find_first_of("\r\n");
  const std::string_view line = text.substr(0, end);
  const auto start = std::ranges::find_if(line_starts, [line](const auto& one) { return may_begin(one, line); });
  if (start == line_starts.end()) return refuse_line();
  if (end != std::string_view::npos) {
    if (text[end] == '\n' || !parse_line(*start, line, connection)) return refuse_line();
    if (end + 1 < text.size()) return text[end + 1] == '\n' ? Answer::done(end + 2) : refuse_line();
  }
  if (text.size() == limit) return refuse("line too long");
  if (end != std::string_view::npos) return Answer::need_more(1);
  return Answer::need_more(text.size() + 2 < shortest_header ? shortest_header - text.size() : 2);
}

// Of both addresses and ports; 0 where nothing is known of what stands there.
std::size_t block_size(std::uint8_t family, std::uint8_t transport) {
  constexpr std::array<std::size_t, 4> sizes = {0, 12, 36, 216};
  return transport == 0 ? 0 : sizes[family];
}

// Nothing but TLVs, the last one whole.
bool are_tlvs(Bytes bytes) {
  while (!bytes.empty()) {
    if (bytes.size() < 3 || bytes.size() - 3 < number_at(bytes, 1)) return false;
    bytes = bytes.subspan(3 + number_at(bytes, 1));
  }
  return true;
}

ProxiedConnection read_block(Bytes block, int family) {
  const std::size_t size = family == AF_INET ? 4 : 16;
  const auto endpoint = [&](std::size_t which) {
    return Endpoint{Address::from_bytes(family, block.data() + which * size).unmapped(),
                    static_cast<std::uint16_t>(number_at(block, 2 * size + which * 2))};
  };
  return {endpoint(0), endpoint(1)};
}

Answer parse_v2(Bytes so_far, std::optional<ProxiedConnection>& connection) {
  if (!std::ranges::equal(so_far.first(std::min(so_far.size(), signature.size())),
                          std::span(signature).first(std::min(so_far.size(), signature.size()))))
    return refuse("no header");
  const auto byte = [so_far](std::size_t at) { return at < so_far.size() ? so_far[at] : std::uint8_t{0}; };
  if (so_far.size() > 12 && byte(12) != local && byte(12) != proxied) return refuse("unknown version or command");
  // Behind LOCAL nothing but the length counts.
  const bool is_proxied = byte(12) == proxied;
  const std::uint8_t family = byte(13) >> 4, transport = byte(13) & 0xf;
  if (is_proxied && (family > local_socket || transport > datagram)) return refuse("unknown family or transport");
  if (so_far.size() < fixed_size) return Answer::need_more(fixed_size - so_far.size());

  const std::size_t size = fixed_size + number_at(so_far, 14);
  const std::size_t block = is_proxied ? block_size(family, transport) : 0;
  if (size > ProxyHeaderReader::v2_limit) return refuse("header too long");
  if (size < fixed_size + block) return refuse("no room for the addresses");
  if (so_far.size() < size) return Answer::need_more(size - so_far.size());
  if (block != 0 && !are_tlvs(so_far.first(size).subspan(fixed_size + block))) return refuse("malformed TLV");
  connection.reset();
  if (is_proxied && transport == stream && (family == inet || family == inet6))
    connection = read_block(so_far.subspan(fixed_size, block), family == inet ? AF_INET : AF_INET6);
  return Answer::done(size);
}

}  // namespace

std::vector<std::uint8_t> proxy_header_v1(const ProxiedConnection& connection) {
  const auto text = [&](const Endpoint& endpoint) {
    return line_text(is_ipv4(connection) ? endpoint.address : endpoint.address.mapped());
  };
  const std::string line =
      fmt::format("PROXY TCP{} {} {} {} {}\r\n", is_ipv4(connection) ? 4 : 6, text(connection.client),
                  text(connection.destination), connection.client.port, connection.destination.port);
  return {line.begin(), line.end()};
}

std::vector<std::uint8_t> proxy_header_v2(const ProxiedConnection& connection, const ProxyTlvs& tlvs) {
  CHECK(tlvs.unique_id.size() <= 128);
  std::vector<std::uint8_t> header(signature.begin(), signature.end());
  header.push_back(proxied);
  header.push_back(static_cast<std::uint8_t>((is_ipv4(connection) ? inet : inet6) << 4 | stream));
  append(header, std::size_t{0});  // the length, once it is known
  for (const Endpoint* endpoint : {&connection.client, &connection.destination})
    append(header, is_ipv4(connection) ? endpoint->address : endpoint->address.mapped());
  append(header, std::size_t{connection.client.port});
  append(header, std::size_t{connection.destination.port});
  append(header, authority, tlvs.authority.size() <= 255 ? tlvs.authority : std::string_view());
  append(header, unique_id, tlvs.unique_id);
  const std::size_t length = header.size() - fixed_size;
  header[14] = static_cast<std::uint8_t>(length >> 8);
  header[15] = static_cast<std::uint8_t>(length & 0xff);
  return header;
}

Step ProxyHeaderReader::take(Bytes received) {
  CHECK(!is_over_);
  Step step = received_.take(received, [this](Bytes so_far) {
    if (so_far.empty()) return Answer::need_more(shortest_header);
    return so_far[0] == 'P' ? parse_v1(so_far, connection_) : parse_v2(so_far, connection_);
  });
  is_over_ = step.next != Step::Next::receive;
  return step;
}

}  // namespace limpid
