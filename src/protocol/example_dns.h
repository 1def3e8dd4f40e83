// SPDX-License-Identifier: MIT
// For tests: DNS messages, written plainly (RFC 1035, section 4).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "protocol/answer.h"

namespace limpid::example_dns {

inline constexpr std::uint16_t a = 1, cname = 5, txt = 16, aaaa = 28;
inline constexpr std::uint16_t query = 0x0100, response = 0x8180;  // with "recursion desired"
inline constexpr std::uint16_t to_the_question = 0xc00c;           // a pointer to the first name behind the header

struct Record {
  std::string owner;  // as name() writes it
  std::uint16_t type;
  std::uint32_t ttl;
  std::string data;
};

inline std::string number(std::uint64_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xff);
  return text;
}

inline std::string name(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::string_view label = text.substr(0, text.find('.'));
    out += number(label.size(), 1) + std::string(label);
    text.remove_prefix(std::min(label.size() + 1, text.size()));
  }
  return out + number(0, 1);
}

inline std::string pointer(std::uint16_t value = to_the_question) { return number(value, 2); }

inline std::string data_of(const Address& address) {
  return {reinterpret_cast<const char*>(address.bytes()), static_cast<std::size_t>(address.bits() / 8)};
}

inline Record address(std::string owner, std::string_view text, std::uint32_t ttl = 60) {
  const Address parsed = *Address::parse(text);
  return {std::move(owner), parsed.family() == AF_INET ? a : aaaa, ttl, data_of(parsed)};
}

inline Record alias(std::string owner, std::string_view target, std::uint32_t ttl = 60) {
  return {std::move(owner), cname, ttl, name(target)};
}

inline std::string message(std::uint16_t id, std::uint16_t flags, std::string_view asked, std::uint16_t type,
                           const std::vector<Record>& answers = {}) {
  std::string out = number(id, 2) + number(flags, 2) + number(1, 2) + number(answers.size(), 2) + number(0, 4);
  out += name(asked) + number(type, 2) + number(1, 2);
  for (const Record& record : answers)
    out += record.owner + number(record.type, 2) + number(1, 2) + number(record.ttl, 4) +
           number(record.data.size(), 2) + record.data;
  return out;
}

inline Bytes bytes(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

}  // namespace limpid::example_dns
