// SPDX-License-Identifier: MIT
// The judgements of `limpid doctor`: everything known that has an interception fail without a word. Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "doctor/machine.h"

namespace limpid {

enum class Severity { ok, not_looked_at, warning, broken };
[[nodiscard]] std::string_view name_of(Severity severity);  // "not looked at"

struct Diagnosis {
  std::string_view id;  // stable; its section in docs/guide/troubleshooting.md
  Severity severity = Severity::ok;
  std::string what;
  std::string_view why;  // it matters
  std::string mend{};    // commands, a line each; empty where nothing is to be mended, or none does it

  [[nodiscard]] std::string page() const;  // "docs/guide/troubleshooting.md#rp-filter"
};

// At least one of each check, in the order of the checks.
[[nodiscard]] std::vector<Diagnosis> judge(const Machine& machine);

// What the checks would like to ask the kernel's route look-up, for a machine whose routes are still to be asked.
[[nodiscard]] std::vector<Fib::Query> route_questions(const Machine& machine);

[[nodiscard]] bool is_anything_broken(const std::vector<Diagnosis>& findings);

[[nodiscard]] std::string findings_for_people(const std::vector<Diagnosis>& findings);
[[nodiscard]] std::string findings_to_json(const std::vector<Diagnosis>& findings);  // one line

}  // namespace limpid
