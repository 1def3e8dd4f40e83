// SPDX-License-Identifier: MIT
// What should happen to a flow. Pure. Today every flow goes direct to its destination.
#pragma once
#include "net/address.h"

namespace limpid {

struct Flow {
  Endpoint client;
  Endpoint destination;
  bool operator==(const Flow&) const = default;
};

enum class Decision { direct };

class Policy {
 public:
  [[nodiscard]] Decision decide(const Flow&) const { return Decision::direct; }
};

}  // namespace limpid
