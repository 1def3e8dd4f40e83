// SPDX-License-Identifier: MIT
#include "config/write.h"

#include <gtest/gtest.h>

#include "config/parse.h"

namespace limpid {
namespace {

Config every_key_set() {
  return {.intercept = {.interfaces = {"lan0", "wg*"},
                        .tcp = {{80, 80}, {8000, 8999}},
                        .udp = {{53, 53}, {443, 443}},
                        .local = true,
                        .bypass = {*Prefix::parse("10.0.0.0/8"), *Prefix::parse("2001:db8::/32")},
                        .bypass_from = {*Prefix::parse("192.0.2.1")},
                        .without_us = WithoutUs::closed,
                        .mark = {0x1, 0x7},
                        .local_mark = {0x10, 0x10},
                        .own_mark = {0x300, 0xf00},
                        .table = 4294967295,
                        .priority = 32764},
          .transparency = {.source = Source::address, .keep_port = KeepPort::prefer, .handover = Handover::off},
          .limits = {.sessions = 100'000,
                     .connect_timeout = std::chrono::milliseconds(1500),
                     .idle_timeout = std::chrono::days(1),
                     .half_closed_timeout = std::chrono::minutes(90),
                     .drain_timeout = std::chrono::seconds(1),
                     .udp_flows = 100,
                     .udp_flows_per_client = 10,
                     .unanswered_timeout = std::chrono::seconds(5),
                     .answered_timeout = std::chrono::minutes(2)},
          .log = {.level = LogLevel::debug, .access = "/var/log/\"limpid\"\\ access \xc3\xa9.log"},
          .process = {.user = "proxy"}};
}

TEST(Toml, IsReadBackAsTheSameConfig) {
  const auto config = parse_config(to_toml(every_key_set()), "written", {});
  ASSERT_TRUE(config) << config.error().front().text();
  EXPECT_EQ(*config, every_key_set());
}

TEST(Toml, OfTheDefaultsIsReadBackAsTheDefaults) {
  const Settings settings = read_settings(to_toml(Config()), "written", {});
  EXPECT_TRUE(settings.errors.empty());
  EXPECT_EQ(settings.config, Config());
  EXPECT_EQ(settings.origins.keys.size(), config_keys().size());
}

TEST(Toml, NamesEachTableOnceAndEachKeyInIt) {
  EXPECT_EQ(to_toml(Config()),
            "[intercept]\n"
            "interfaces = []\n"
            "tcp = []\n"
            "udp = []\n"
            "local = false\n"
            "bypass = []\n"
            "bypass_from = []\n"
            "without_us = \"open\"\n"
            "mark = \"0x10000000/0x10000000\"\n"
            "local_mark = \"0x20000000/0x20000000\"\n"
            "own_mark = \"0x40000000/0x40000000\"\n"
            "table = 5300\n"
            "priority = 100\n"
            "\n"
            "[transparency]\n"
            "source = \"client\"\n"
            "keep_port = \"prefer\"\n"
            "handover = \"auto\"\n"
            "\n"
            "[limits]\n"
            "sessions = 0\n"
            "connect_timeout = \"10s\"\n"
            "idle_timeout = \"2h\"\n"
            "half_closed_timeout = \"10m\"\n"
            "drain_timeout = \"30s\"\n"
            "udp_flows = 65536\n"
            "udp_flows_per_client = 8192\n"
            "unanswered_timeout = \"30s\"\n"
            "answered_timeout = \"3m\"\n"
            "\n"
            "[log]\n"
            "level = \"info\"\n"
            "access = \"stdout\"\n"
            "\n"
            "[process]\n"
            "user = \"limpid\"\n");
}

}  // namespace
}  // namespace limpid
