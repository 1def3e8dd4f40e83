// SPDX-License-Identifier: MIT
// libnftables: text in, text out. Owns the netlink socket that tables with `flags owner` live by: they vanish with it.
// The socket is close-on-exec; a mere fork(2) would still keep it open. CAP_NET_ADMIN for whatever changes something.
#pragma once
#include <memory>
#include <string>

#include "base/result.h"

struct nft_ctx;

namespace limpid {

class Nft {
 public:
  [[nodiscard]] static Result<Nft> open();  // in the network namespace of the calling thread

  // Runs nft(8) commands as one transaction and returns what they print. A refusal is nft's own words, on one line.
  [[nodiscard]] Result<std::string> run(const std::string& commands);
  // Whether nft understands them, names and paths resolved; changes nothing.
  [[nodiscard]] Result<> check(const std::string& commands);
  // "ruleset", "tables", "table inet x": without the elements of sets (there may be many) and the values of counters.
  [[nodiscard]] Result<std::string> list(const std::string& what);
  // The same with the elements of sets; and with the handles of rules and chains, as comments ("# handle 7").
  [[nodiscard]] Result<std::string> list_with_elements(const std::string& what);
  [[nodiscard]] Result<std::string> list_with_handles(const std::string& what);

 private:
  [[nodiscard]] Result<std::string> list_as(const std::string& what, unsigned int flags);

  struct Free {
    void operator()(nft_ctx* context) const;
  };
  explicit Nft(std::unique_ptr<nft_ctx, Free> context) : context_(std::move(context)) {}

  std::unique_ptr<nft_ctx, Free> context_;
};

// Who holds a table. An owner is a netlink socket, of this process or another.
enum class Holder { none, nobody, owner };
[[nodiscard]] Result<Holder> holder_of(Nft& nft, const std::string& table);  // "inet limpid"

}  // namespace limpid
