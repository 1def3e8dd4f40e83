// SPDX-License-Identifier: MIT
// Where a setting was written, and what is wrong with it there.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace limpid {

// A place in a file, a whole file (no line), an option of the command line ("--tcp"), or nowhere (no name).
struct SourcePlace {
  std::string name;
  unsigned line = 0;    // from 1; 0: none
  unsigned column = 0;  // from 1

  [[nodiscard]] std::string text() const;  // limpid.toml:3:9, limpid.toml, --tcp
  bool operator==(const SourcePlace&) const = default;
};

struct ConfigError {
  SourcePlace place;
  std::string message;

  // "limpid.toml:3:9: message", always one line: control characters of the input come out escaped.
  [[nodiscard]] std::string text() const;
};

using ConfigErrors = std::vector<ConfigError>;

// "rule.0": the first [[rule]]. Its keys are "rule.0.name" and so on.
[[nodiscard]] std::string entry_origin(std::string_view table, std::size_t place);

// Where each key that was given came from. A list of tables that could not be read is a key too, and not usable.
struct Origins {
  struct Origin {
    SourcePlace place;
    bool usable = true;  // false: its value was refused and says nothing about what the user wants
  };

  std::string file;  // the name of the file that was read; empty: none
  std::map<std::string, Origin, std::less<>> keys;

  [[nodiscard]] bool has(std::string_view key) const { return keys.contains(key); }
  // Whether there is an entry of that list of tables, right or wrong.
  [[nodiscard]] bool lists_any(std::string_view table) const { return has(entry_origin(table, 0)); }
  [[nodiscard]] bool is_usable(std::string_view key) const;
  // The key's place, or else that of the file as a whole: a default has no place of its own.
  [[nodiscard]] SourcePlace place_of(std::string_view key) const;
};

}  // namespace limpid
