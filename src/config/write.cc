// SPDX-License-Identifier: MIT
#include "config/write.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "config/keys.h"

namespace limpid {
namespace {

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char byte : text) {
    if (byte == '"' || byte == '\\') result += '\\';
    result += byte;
  }
  return result + '"';
}

template <class Object>
std::string value_of(const KeyOf<Object>& key, const std::vector<std::string>& texts) {
  if (key.shape == Shape::flag || key.shape == Shape::number) return texts.front();
  if (key.shape == Shape::text) return quoted(texts.front());
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + quoted(text);
  return fmt::format("[{}]", list);
}

// Only what is not as it would be without a word, and what must be said (check.h).
template <class Entry>
void write_entries(std::string_view table, std::span<const KeyOf<Entry>> keys, const std::vector<Entry>& entries,
                   std::string& text) {
  for (const Entry& entry : entries) {
    text += fmt::format("\n[[{}]]\n", table);
    for (const KeyOf<Entry>& key : keys) {
      const bool must_be_said = key.name() == "type" || key.name() == "action";
      if (const std::vector<std::string> texts = key.texts(entry); must_be_said || texts != key.texts(Entry()))
        text += fmt::format("{} = {}\n", key.name(), value_of(key, texts));
    }
  }
}

}  // namespace

std::string to_toml(const Config& config) {
  std::string text;
  std::string_view table;
  for (const Key& key : config_keys()) {
    if (key.table() != table) text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", key.table());
    table = key.table();
    text += fmt::format("{} = {}\n", key.name(), value_of(key, key.texts(config)));
  }
  write_entries("upstream", upstream_keys(), config.upstreams, text);
  write_entries("rule", rule_keys(), config.rules, text);
  write_entries("listener", listener_keys(), config.listeners, text);
  return text;
}

}  // namespace limpid
