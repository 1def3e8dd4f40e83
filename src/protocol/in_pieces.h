// SPDX-License-Identifier: MIT
// For tests and fuzz targets: a handshake with a peer whose bytes come in pieces.
#pragma once
#include <algorithm>
#include <vector>

#include "base/check.h"
#include "protocol/answer.h"
#include "protocol/request.h"

namespace limpid {

inline const ProxyDestination web = {{*Address::parse("203.0.113.9"), 443}, {}};

struct Outcome {
  Step::Next next = Step::Next::receive;
  std::size_t consumed = 0;  // without a refusal
  Refusal refusal;
  std::vector<std::vector<std::uint8_t>> sent;

  bool operator==(const Outcome&) const = default;
};

inline constexpr std::size_t as_wanted = 0;

// Plays the caller until the handshake is over or `stream` used up. It shows `piece` bytes at a time, or just as many
// as were wanted.
template <Handshake T>
Outcome run_in_pieces(T& handshake, Bytes stream, std::size_t piece) {
  Outcome outcome;
  const auto send = [&] { outcome.sent.emplace_back(handshake.to_send().begin(), handshake.to_send().end()); };
  send();
  std::size_t wanted = 1;
  if (piece == as_wanted) wanted = handshake.take({}).wanted;
  while (!stream.empty()) {
    const Bytes shown = stream.first(std::min(stream.size(), piece == as_wanted ? wanted : piece));
    const Step step = handshake.take(shown);
    CHECK(step.consumed <= shown.size());
    stream = stream.subspan(step.consumed);
    outcome.consumed += step.consumed;
    outcome.next = step.next;
    wanted = step.wanted;
    if (step.next == Step::Next::receive) {
      CHECK(step.consumed == shown.size() && step.wanted > 0);
      continue;
    }
    // One who reads only what was wanted never takes a byte of the stream behind.
    if (step.next != Step::Next::refused) CHECK(piece != as_wanted || step.consumed == shown.size());
    if (step.next == Step::Next::send) {
      send();
      wanted = piece == as_wanted ? handshake.take({}).wanted : 1;
      outcome.next = Step::Next::receive;
      continue;
    }
    if (step.next == Step::Next::refused) outcome.consumed = 0;
    outcome.refusal = step.refusal;
    break;
  }
  return outcome;
}

// The outcome of `stream` for what `make` makes, and CHECKs that it is one and the same however the stream is cut, that
// nothing behind the handshake has a say in it, and that no part of a handshake passes for the whole.
template <class Make>
Outcome outcome_of(const Make& make, Bytes stream) {
  const auto run = [&make](Bytes bytes, std::size_t piece) {
    auto handshake = make();
    return run_in_pieces(handshake, bytes, piece);
  };
  const Outcome outcome = run(stream, stream.size() + 1);
  for (const std::size_t piece :
       {as_wanted, std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{64}, std::size_t{1000}})
    CHECK(run(stream, piece) == outcome);
  if (outcome.next != Step::Next::done) return outcome;

  const Bytes handshake = stream.first(outcome.consumed);
  std::vector<std::uint8_t> other(handshake.begin(), handshake.end());
  CHECK(run(other, other.size()) == outcome);
  other.insert(other.end(), {'\r', '\n', '\r', '\n', 0, 5, 1, 0xff});
  CHECK(run(other, other.size()) == outcome);
  CHECK(run(handshake.first(handshake.size() - 1), as_wanted).next == Step::Next::receive);
  return outcome;
}

}  // namespace limpid
