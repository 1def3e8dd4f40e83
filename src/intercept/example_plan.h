// SPDX-License-Identifier: MIT
// For tests: a plan in which everything occurs.
#pragma once
#include "intercept/plan.h"

namespace limpid {

inline Plan example_plan() {
  Plan plan;
  plan.settings.interfaces = {"lan0", "veth*"};
  plan.settings.tcp = {{80, 80}, {8000, 8999}};
  plan.settings.bypass = {*Prefix::parse("10.0.0.0/8"), *Prefix::parse("2001:db8:1::/48")};
  plan.settings.bypass_from = {*Prefix::parse("192.0.2.7"), *Prefix::parse("2001:db8::7")};
  plan.settings.udp = {{53, 53}, {443, 443}};
  plan.ports = {.ipv4 = 40001, .ipv6 = 40002};
  plan.udp4 = {
      .request = 40003, .request_df = 40004, .here = 40005, .here_df = 40006, .answer = 40007, .answer_df = 40008};
  plan.udp6 = {
      .request = 40009, .request_df = 40009, .here = 40010, .here_df = 40010, .answer = 40011, .answer_df = 40011};
  plan.handover = true;
  plan.worker_uid = 64999;
  return plan;
}

}  // namespace limpid
