// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdio>
#include <iterator>

#include "cli/verbs.h"
#include "doctor/checks.h"
#include "doctor/look.h"
#include "doctor/probe.h"

namespace limpid {

int doctor_verb(const std::optional<Config>& config, const std::string& control_socket, const DoctorOptions& options) {
  const Machine machine = look_at_machine(config, control_socket);
  std::vector<Diagnosis> findings = judge(machine);
  if (options.probes) std::ranges::move(probe(machine), std::back_inserter(findings));
  std::fputs((options.as_json ? findings_to_json(findings) + "\n" : findings_for_people(findings)).c_str(), stdout);
  return is_anything_broken(findings) ? exit_refused : 0;
}

}  // namespace limpid
