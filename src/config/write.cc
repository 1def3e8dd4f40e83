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

std::string value_of(const Key& key, const Config& config) {
  const std::vector<std::string> texts = key.texts(config);
  if (key.shape == Shape::flag || key.shape == Shape::number) return texts.front();
  if (key.shape == Shape::text) return quoted(texts.front());
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + quoted(text);
  return fmt::format("[{}]", list);
}

}  // namespace

std::string to_toml(const Config& config) {
  std::string text;
  std::string_view table;
  for (const Key& key : config_keys()) {
    if (key.table() != table) text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", key.table());
    table = key.table();
    text += fmt::format("{} = {}\n", key.name(), value_of(key, config));
  }
  return text;
}

}  // namespace limpid
