// SPDX-License-Identifier: MIT
#include "identify/host_name.h"

#include <algorithm>

namespace limpid {
namespace {

constexpr std::size_t longest_name = 253;  // RFC 1035, 2.3.4, as text
constexpr std::size_t longest_label = 63;

bool is_hex_digit(char byte) { return is_digit(byte) || (byte >= 'a' && byte <= 'f'); }
char lower(char byte) { return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte; }

bool is_name_byte(char byte) { return is_digit(byte) || (byte >= 'a' && byte <= 'z') || byte == '-' || byte == '_'; }

bool is_label(std::string_view text) {
  return !text.empty() && text.size() <= longest_label && std::ranges::all_of(text, is_name_byte);
}

// What inet_aton(3) takes for an address ends in a number, decimal or hexadecimal; no top-level domain is one.
bool is_number(std::string_view label) {
  return std::ranges::all_of(label, is_digit) ||
         (label.starts_with("0x") && std::ranges::all_of(label.substr(2), is_hex_digit));
}

}  // namespace

std::string host_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > longest_name) return {};
  std::string name(text);
  std::ranges::transform(name, name.begin(), lower);
  for (std::string_view rest = name;;) {
    const std::string_view label = rest.substr(0, rest.find('.'));
    if (!is_label(label)) return {};
    if (label.size() == rest.size()) return is_number(label) ? std::string() : name;
    rest.remove_prefix(label.size() + 1);
  }
}

std::string host_of_authority(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos) {
    const std::string_view port = authority.substr(colon + 1);
    if (port.size() > 5 || !std::ranges::all_of(port, is_digit)) return {};
    authority = authority.substr(0, colon);
  }
  return host_name(authority);
}

void OneHost::add(std::string host) {
  if (is_there_ && host != host_) host.clear();
  host_ = std::move(host);
  is_there_ = true;
}

}  // namespace limpid
