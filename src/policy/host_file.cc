// SPDX-License-Identifier: MIT
#include "policy/host_file.h"

#include <algorithm>
#include <array>
#include <utility>

#include "net/address.h"

namespace limpid {
namespace {

constexpr std::size_t longest_line = 4096;  // bytes
constexpr std::size_t most_errors = 10;
constexpr std::string_view spaces = " \t\r\v\f";
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

// What hosts(5) files have for the machine itself; "0.0.0.0 0.0.0.0" is how some lists begin.
constexpr std::array own_names = {std::string_view("localhost"), std::string_view("localhost.localdomain"),
                                  std::string_view("local"), std::string_view("broadcasthost"),
                                  std::string_view("0.0.0.0")};

bool is_own_name(std::string_view name) {
  return name.starts_with("ip6-") || std::ranges::find(own_names, name) != own_names.end();
}

bool is_address(std::string_view word) {
  return Address::parse(word.substr(0, word.find('%'))).has_value();  // "fe80::1%lo0"
}

// Takes the first word off `rest`; empty when there is none.
std::string_view next_word(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(spaces), rest.size()));
  const std::string_view word = rest.substr(0, rest.find_first_of(spaces));
  rest.remove_prefix(word.size());
  return word;
}

class LineReader {
 public:
  explicit LineReader(const std::function<Result<>(std::string_view)>& add) : add_(add) {}

  void read(std::string_view line) {
    line_ = line;
    ++number_;
    if (line.size() > longest_line) return refuse(line, fmt::format("the line is longer than {} bytes", longest_line));
    std::string_view rest = line.substr(0, line.find('#'));
    const std::string_view first = next_word(rest), second = next_word(rest);
    if (second.empty()) {
      if (!first.empty() && first != "0.0.0.0") take(first);
    } else if (first == address_ || is_address(first)) {
      address_ = first;  // mostly the same one in every line
      for (std::string_view name = second; !name.empty(); name = next_word(rest))
        if (!is_own_name(name)) take(name);
    } else {
      refuse(second, "a line has one name, or an address and its names as in hosts(5)");
    }
  }

  HostFileErrors errors;

 private:
  void take(std::string_view name) {
    if (const Result<> added = add_(name); !added) refuse(name, added.error().what);
  }

  void refuse(std::string_view word, std::string_view why) {
    if (errors.first.size() < most_errors)
      errors.first.push_back({number_, static_cast<std::size_t>(word.data() - line_.data()) + 1, std::string(why)});
    else
      ++errors.more;
  }

  const std::function<Result<>(std::string_view)>& add_;
  std::string_view line_;
  std::string_view address_;
  std::size_t number_ = 0;
};

}  // namespace

HostFileErrors read_host_file(std::string_view text, const std::function<Result<>(std::string_view)>& add) {
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  LineReader reader(add);
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    reader.read(line);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return std::move(reader.errors);
}

}  // namespace limpid
