// SPDX-License-Identifier: MIT
#include <cstdio>

#include "cli/verbs.h"
#include "config/value.h"
#include "doctor/explain.h"
#include "doctor/look.h"

namespace limpid {
namespace {

// The policy's word, as `limpid decide` has it.
int tell_decision(const std::optional<Config>& named, const std::string& control_socket, const PacketQuestion& packet,
                  DecideOptions options) {
  std::optional<Config> config = named;
  if (!config) {
    const Result<std::optional<Running>> running = ask_running(control_socket);
    if (!running) return refuse(running.error());
    if (*running) config = (*running)->config;
  }
  std::printf("policy:\n");
  if (!config) {
    std::printf("  unknown: name a configuration with --config, or the control socket with --socket\n");
    return 0;
  }
  options.client = packet.flow.client.text();
  options.to = packet.flow.destination.text();
  options.proto = value_text(packet.proto);
  return decide_verb(*config, options);
}

}  // namespace

int explain_verb(const std::optional<Config>& config, const std::string& control_socket, const std::string& text,
                 const DecideOptions& claim) {
  const Result<PacketQuestion> packet = PacketQuestion::parse(text);
  if (!packet) return refuse(packet.error(), exit_usage);
  const Result<Explanation> story = explain(*packet);
  if (!story) return refuse(story.error());
  for (const std::string& line : story->lines) std::printf("%s\n", line.c_str());
  if (story->taker != Taker::limpid && !story->met_the_users_rules) return 0;
  return tell_decision(config, control_socket, *packet, claim);
}

}  // namespace limpid
