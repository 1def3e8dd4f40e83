// SPDX-License-Identifier: MIT
#include "intercept/nft.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "base/check.h"

namespace limpid {
namespace {

struct DirectoryFree {
  void operator()(DIR* directory) const { closedir(directory); }
};

bool is_netfilter_socket(int fd) {
  int domain = 0;
  int protocol = -1;
  socklen_t size = sizeof domain;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK &&
         getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == NETLINK_NETFILTER;
}

// libnftables neither opens its socket close-on-exec nor tells which it is, and an owner table lives as long as anybody
// has that socket. No netfilter socket of ours is meant for a child, so all of them are marked.
Result<> close_netfilter_sockets_on_exec() {
  const std::unique_ptr<DIR, DirectoryFree> directory(opendir("/proc/self/fd"));
  if (directory == nullptr) return errno_failure("open /proc/self/fd", errno);
  while (const dirent* const entry = readdir(directory.get())) {
    const int fd = std::atoi(entry->d_name);  // "." and ".." become 0, which is not a netfilter socket either
    if (is_netfilter_socket(fd) && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
      return errno_failure("make the netfilter socket close-on-exec", errno);
  }
  return {};
}

// nft underlines the place in a quoted line, but of a buffer it quotes the first line whatever the place: only the
// messages are of use.
std::string on_one_line(std::string_view error) {
  constexpr std::string_view label = "Error: ";
  std::string result;
  for (std::size_t at = error.find(label); at != std::string_view::npos; at = error.find(label, at + 1)) {
    const std::string_view message = error.substr(at + label.size());
    result += fmt::format("{}{}", result.empty() ? "" : "; ", message.substr(0, message.find('\n')));
  }
  return result.empty() ? "refused without a reason" : result;
}

}  // namespace

void Nft::Free::operator()(nft_ctx* context) const { nft_ctx_free(context); }

Result<Nft> Nft::open() {
  errno = 0;
  Nft nft{std::unique_ptr<nft_ctx, Free>(nft_ctx_new(NFT_CTX_DEFAULT))};
  if (nft.context_ == nullptr) return errno_failure("open nftables", errno);
  if (nft_ctx_buffer_output(nft.context_.get()) != 0 || nft_ctx_buffer_error(nft.context_.get()) != 0)
    return failure("open nftables: its output cannot be buffered");
  if (const Result<> marked = close_netfilter_sockets_on_exec(); !marked) return failure_in("open nftables", marked);
  return nft;
}

Result<std::string> Nft::run(const std::string& commands) {
  const int code = nft_run_cmd_from_buffer(context_.get(), commands.c_str());
  // Reading a buffer empties it: both, each time.
  std::string output = nft_ctx_get_output_buffer(context_.get());
  const std::string error = nft_ctx_get_error_buffer(context_.get());
  if (code != 0) return failure(fmt::format("nft: {}", on_one_line(error)));
  return output;
}

Result<> Nft::check(const std::string& commands) {
  nft_ctx_set_dry_run(context_.get(), true);
  const Result<std::string> result = run(commands);
  nft_ctx_set_dry_run(context_.get(), false);
  if (!result) return std::unexpected(result.error());
  return {};
}

Result<std::string> Nft::list(const std::string& what) {
  return list_as(what, NFT_CTX_OUTPUT_TERSE | NFT_CTX_OUTPUT_STATELESS);
}

Result<std::string> Nft::list_with_elements(const std::string& what) { return list_as(what, NFT_CTX_OUTPUT_STATELESS); }

Result<std::string> Nft::list_with_handles(const std::string& what) {
  return list_as(what, NFT_CTX_OUTPUT_TERSE | NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_HANDLE);
}

Result<std::string> Nft::list_as(const std::string& what, unsigned int flags) {
  const unsigned int before = nft_ctx_output_get_flags(context_.get());
  nft_ctx_output_set_flags(context_.get(), before | flags);
  Result<std::string> result = run("list " + what);
  nft_ctx_output_set_flags(context_.get(), before);
  return result;
}

Result<Holder> holder_of(Nft& nft, const std::string& table) {
  const Result<std::string> tables = nft.list("tables");
  if (!tables) return failure_in("list nftables tables", tables);
  if (("\n" + *tables).find("\ntable " + table + "\n") == std::string::npos) return Holder::none;
  const Result<std::string> text = nft.list("table " + table);
  if (!text) return Holder::none;  // it went between the two
  return text->find("\n\tflags owner") != std::string::npos ? Holder::owner : Holder::nobody;
}

}  // namespace limpid
