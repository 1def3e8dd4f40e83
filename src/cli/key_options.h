// SPDX-License-Identifier: MIT
// Keys of the configuration as options of a verb; they override the file's values.
#pragma once
#include <CLI/App.hpp>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "config/parse.h"

namespace limpid {

class KeyOptions {
 public:
  KeyOptions() = default;
  KeyOptions(const KeyOptions&) = delete;  // CLI11 keeps references to the values
  KeyOptions& operator=(const KeyOptions&) = delete;

  // One option a key that is wanted.
  void add_to(CLI::App& verb, const std::function<bool(const Key&)>& is_wanted);
  // Those that were given.
  [[nodiscard]] Overrides overrides() const;

 private:
  struct Entry {
    const Key* key;
    CLI::Option* option = nullptr;
    std::vector<std::string> values{};
  };
  std::deque<Entry> entries_;
};

}  // namespace limpid
