// SPDX-License-Identifier: MIT
#include "cli/verbs.h"

#include <cstdio>

namespace limpid {

int refuse(const Error& error, int status) {
  std::fprintf(stderr, "limpid: %s\n", error.what.c_str());
  return status;
}

}  // namespace limpid
