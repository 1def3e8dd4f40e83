// SPDX-License-Identifier: MIT
// The table of keys: the one place that knows what can be set. The file, the command line, the text written back and
// the command's help all come from it.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace limpid {

// What a value looks like in TOML.
enum class Shape { flag, number, text, list };

// Of an Object: all settings (Config), or one entry of a list of tables, [[rule]], [[upstream]] or [[listener]].
template <class Object>
struct KeyOf {
  std::string_view path;         // "intercept.tcp"
  std::string_view option;       // "--tcp"; empty: only a file can set it
  std::string_view placeholder;  // of the option's value in the help: "PORT,..."
  std::string_view help;         // a line without its default and without a full stop
  std::string_view wanted;       // "a list of ports like [\"80\", \"8000-8999\"]": completes "must be"
  Shape shape;

  // Reads one value; that of a list is added to what is there already.
  Result<> (*set)(Object& object, std::string_view text);
  // Empties a list; does nothing to other shapes.
  void (*clear)(Object& object);
  // The value as `set` reads it: one text, or one for each entry of a list; none where the value may be absent and is.
  std::vector<std::string> (*texts)(const Object& object);

  [[nodiscard]] std::string_view table() const { return path.substr(0, path.find('.')); }
  [[nodiscard]] std::string_view name() const { return path.substr(path.find('.') + 1); }
  [[nodiscard]] bool is_flag() const { return shape == Shape::flag; }
  [[nodiscard]] bool is_list() const { return shape == Shape::list; }
};

using Key = KeyOf<Config>;

// In the order of limpid.toml(5); the keys of a table are neighbours.
[[nodiscard]] std::span<const Key> config_keys();
// Null if there is no such key.
[[nodiscard]] const Key* find_key(std::string_view path);

// Of an entry of [[rule]], [[upstream]] and [[listener]]; they have no options.
[[nodiscard]] std::span<const KeyOf<Rule>> rule_keys();
[[nodiscard]] std::span<const KeyOf<Upstream>> upstream_keys();
[[nodiscard]] std::span<const KeyOf<ListenerSettings>> listener_keys();

}  // namespace limpid
