// SPDX-License-Identifier: MIT
#include "daemon/reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace limpid {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

TEST(Reload, NamesWhatCannotChange) {
  const Config running;
  Config wanted;
  wanted.intercept.own_mark = {0x1, 0x1};
  wanted.process.user = "proxy";
  wanted.intercept.udp = {{53, 53}};
  wanted.log.access = "off";
  EXPECT_THAT(unchangeable(running, wanted),
              ElementsAre(StartsWith("intercept.own_mark cannot"), StartsWith("process.user cannot"),
                          StartsWith("intercept.udp, from"), StartsWith("log.access, from")));
}

TEST(Reload, NamesListenersWhoseSocketsWouldHaveToBeOthers) {
  Config running;
  running.intercept.interfaces = {"lan0"};
  running.listeners.emplace_back().listen = {*Endpoint::parse("192.0.2.1:80")};
  Config wanted = running;
  wanted.listeners[0].trusted = {*Prefix::parse("192.0.2.9")};
  wanted.listeners[0].accept = Accept::proxy_protocol;
  wanted.listeners.emplace_back().listen = {*Endpoint::parse("192.0.2.1:81")};
  wanted.listeners[1].fast_open = true;
  EXPECT_THAT(unchangeable(running, wanted), ElementsAre());
  wanted.listeners[0].accept = Accept::transparent;
  EXPECT_THAT(unchangeable(running, wanted), ElementsAre(testing::HasSubstr("192.0.2.1:80")));
  wanted = Config{};
  EXPECT_THAT(unchangeable(running, wanted), ElementsAre(StartsWith("whether anything is intercepted")));
}

TEST(Reload, TakesEverythingElse) {
  Config running, wanted;
  running.intercept.udp = {{53, 53}};
  running.intercept.interfaces = {"lan1"};
  wanted.intercept = {.interfaces = {"lan0"},
                      .tcp = {{80, 80}},
                      .udp = {{443, 443}},
                      .local = true,
                      .bypass = {*Prefix::parse("10.0.0.0/8")},
                      .bypass_from = {*Prefix::parse("10.0.0.0/8")},
                      .without_us = WithoutUs::closed};
  wanted.transparency.source = Source::address;
  wanted.limits = {.sessions = 5, .connect_timeout = std::chrono::seconds(1)};
  wanted.log = {.level = LogLevel::debug, .access = "/log"};
  wanted.rules.emplace_back();
  wanted.upstreams.emplace_back();
  EXPECT_THAT(unchangeable(running, wanted), ElementsAre());
}

}  // namespace
}  // namespace limpid
