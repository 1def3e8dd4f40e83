// SPDX-License-Identifier: MIT
#include "config/write.h"

#include <gtest/gtest.h>

#include "config/parse.h"

namespace limpid {
namespace {

Upstream fixed_upstream() {
  Upstream upstream;
  upstream.name = "web";
  upstream.type = UpstreamType::fixed;
  upstream.address = {*Endpoint::parse("198.51.100.10:8080")};
  upstream.proxy_protocol = ProxyProtocol::v2;
  upstream.check_interval = std::chrono::milliseconds::zero();
  return upstream;
}

Upstream checked_upstream() {
  Upstream upstream;
  upstream.name = "home";
  upstream.address = {*Endpoint::parse("198.51.100.11:1080")};
  upstream.check = UpstreamCheck::handshake;
  return upstream;
}

Rule rest() {
  Rule rule;
  rule.name = "rest";
  rule.action = "office";
  return rule;
}

ListenerSettings balanced() {
  return {.name = "lb",
          .listen = {*Endpoint::parse("192.0.2.1:443"), *Endpoint::parse("[2001:db8::1]:443")},
          .accept = Accept::proxy_protocol,
          .trusted = {*Prefix::parse("192.0.2.0/24")},
          .action = "web",
          .fast_open = true};
}

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
                     .identify_timeout = std::chrono::milliseconds(20),
                     .idle_timeout = std::chrono::days(1),
                     .half_closed_timeout = std::chrono::minutes(90),
                     .drain_timeout = std::chrono::seconds(1),
                     .udp_flows = 100,
                     .udp_flows_per_client = 10,
                     .unanswered_timeout = std::chrono::seconds(5),
                     .answered_timeout = std::chrono::minutes(2),
                     .verify_host_grace = std::chrono::seconds(20)},
          .log = {.level = LogLevel::debug, .access = "/var/log/\"limpid\"\\ access \xc3\xa9.log"},
          .process = {.user = "proxy"},
          .upstreams = {{.name = "office",
                         .type = UpstreamType::http_connect,
                         .address = {*Endpoint::parse("192.0.2.7:1080"), *Endpoint::parse("[2001:db8::7]:1080")},
                         .username = "u",
                         .password_file = "/etc/limpid/office.secret",
                         .send = Send::host,
                         .proxy_protocol = ProxyProtocol::off,
                         .source = Source::address,
                         .when_down = WhenDown::drop,
                         .hash = Hash::client,
                         .sessions = 100,
                         .connect_timeout = std::chrono::seconds(2),
                         .check_interval = std::chrono::minutes(1)},
                        fixed_upstream(),
                        checked_upstream()},
          .rules = {{.name = "no ads",
                     .from = {*Prefix::parse("10.1.0.0/16")},
                     .to = {*Prefix::parse("203.0.113.0/24")},
                     .port = {{443, 443}},
                     .proto = Protocol::tcp,
                     .host = {"*.ads.example", "tracker.example"},
                     .host_file = "/etc/limpid/ads",
                     .verify_host = true,
                     .app = {Application::tls, Application::quic},
                     .time = DayPart{std::chrono::hours(22), std::chrono::minutes(390)},
                     .action = "web"},
                    rest()},
          .listeners = {balanced()}};
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
            "identify_timeout = \"300ms\"\n"
            "idle_timeout = \"2h\"\n"
            "half_closed_timeout = \"10m\"\n"
            "drain_timeout = \"30s\"\n"
            "udp_flows = 65536\n"
            "udp_flows_per_client = 8192\n"
            "unanswered_timeout = \"30s\"\n"
            "answered_timeout = \"3m\"\n"
            "verify_host_grace = \"1m\"\n"
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
