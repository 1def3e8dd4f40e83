// SPDX-License-Identifier: MIT
// Empty pipes to splice(2) through, opened by the supervisor, for an unprivileged process gets large ones for 64 pipes
// only (pipe(7), pipe-user-pages-soft). Lent for as long as bytes are in them, so a few serve many.
#pragma once
#include <optional>
#include <vector>

#include "base/fd.h"

namespace limpid {

struct Pipe {
  Fd read_end;
  Fd write_end;
};

class PipePool {
 public:
  explicit PipePool(std::vector<Pipe> pipes) : pipes_(std::move(pipes)) {}

  [[nodiscard]] std::optional<Pipe> borrow() {
    if (pipes_.empty()) return std::nullopt;
    std::optional<Pipe> pipe(std::move(pipes_.back()));
    pipes_.pop_back();
    return pipe;
  }
  // Only an empty pipe may come back: what is left in it would go to a stranger.
  void give_back(Pipe pipe) { pipes_.push_back(std::move(pipe)); }

 private:
  std::vector<Pipe> pipes_;
};

}  // namespace limpid
