// SPDX-License-Identifier: MIT
#include "cli/redirect.h"

#include <netdb.h>

#include <cstring>
#include <memory>

namespace limpid {
namespace {

constexpr const char* name_of_upstream = "redirect";

// What getaddrinfo(3) gives for a TCP service, in its order. An empty host: the wildcard address, to listen on.
Result<std::vector<Endpoint>> resolve(const RedirectOptions& options, const std::string& host, const std::string& port,
                                      int flags) {
  addrinfo hints{};
  hints.ai_family = options.ipv4 ? AF_INET : options.ipv6 ? AF_INET6 : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  const int refusal = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &list);
  if (refusal != 0)
    return failure(fmt::format("{} port {}: {}", host.empty() ? "any address" : host, port,
                               refusal == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(refusal)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, ::freeaddrinfo);
  std::vector<Endpoint> endpoints;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, entry->ai_addr, entry->ai_addrlen);
    endpoints.push_back(Endpoint::from_sockaddr(storage));
    if (endpoints.back().port == 0) return failure(fmt::format("port {}: there is no port 0", port));
  }
  if (endpoints.empty()) return failure(fmt::format("{}: no address of IPv4 or IPv6", host));
  return endpoints;
}

}  // namespace

Result<Config> redirect_config(const RedirectOptions& options) {
  const auto local = resolve(options, options.listen_address, options.local_port, AI_PASSIVE | AI_NUMERICHOST);
  if (!local) return failure_in("where to listen", local);
  const auto remote =
      resolve(options, options.host, options.remote_port.empty() ? options.local_port : options.remote_port, 0);
  if (!remote) return failure_in("where to connect to", remote);

  Config config;
  ListenerSettings& listener = config.listeners.emplace_back();
  listener.name = name_of_upstream;
  listener.listen = {local->front()};
  listener.accept = options.transparent ? Accept::transparent : Accept::plain;
  listener.action = name_of_upstream;
  listener.fast_open = options.fast_open;
  Upstream& upstream = config.upstreams.emplace_back();
  upstream.name = name_of_upstream;
  upstream.type = UpstreamType::fixed;
  upstream.address = *remote;
  upstream.source = options.as_client ? Source::client : Source::self;
  upstream.fast_open = options.fast_open;
  upstream.check_interval = std::chrono::milliseconds::zero();
  if (!options.loop) config.limits.sessions = 1;
  return config;
}

}  // namespace limpid
