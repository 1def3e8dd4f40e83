// SPDX-License-Identifier: MIT
#include "cli/key_options.h"

namespace limpid {

void KeyOptions::add_to(CLI::App& verb, const std::function<bool(const Key&)>& is_wanted) {
  for (const Key& key : config_keys()) {
    if (!is_wanted(key)) continue;
    Entry& entry = entries_.emplace_back(Entry{.key = &key});
    const std::string help = std::string(key.help) + " (" + std::string(key.path) + ")";
    entry.option = verb.add_option(std::string(key.option), entry.values, help)->group("Keys of the configuration");
    entry.option->type_name(std::string(key.placeholder));
    if (key.is_list())
      entry.option->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    else
      entry.option->expected(key.is_flag() ? 0 : 1, 1)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

Overrides KeyOptions::overrides() const {
  Overrides overrides;
  for (const Entry& entry : entries_) {
    if (entry.option->count() == 0) continue;
    // CLI11 gives an option that may go without a value an empty one.
    const bool bare_flag = entry.key->is_flag() && entry.values == std::vector<std::string>{""};
    overrides.push_back({entry.key, bare_flag ? std::vector<std::string>{} : entry.values});
  }
  return overrides;
}

}  // namespace limpid
