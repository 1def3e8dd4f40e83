// SPDX-License-Identifier: MIT
// `limpid doctor --probe`: connections and datagrams of our own through the real rules, and where each of them ended.
// Unlike everything else of the doctor this changes the machine while it lasts: two interfaces, limpid-probe-c and
// limpid-probe-s, whose other ends are in network namespaces of this process. They go with it, SIGKILL included.
#pragma once
#include <vector>

#include "doctor/checks.h"

namespace limpid {

// One finding each ("probe"): forwarded and local, over TCP and UDP, in each family. Where the configuration names one
// interface, what comes from the scratch client is received as if it had come in there (net/ingress.h). Root; the
// calling thread must be the only one.
[[nodiscard]] std::vector<Diagnosis> probe(const Machine& machine);

}  // namespace limpid
