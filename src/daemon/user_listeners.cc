// SPDX-License-Identifier: MIT
#include "daemon/user_listeners.h"

#include <sys/socket.h>

#include <algorithm>

namespace limpid {
namespace {

ServiceOptions options_of(const ListenerSettings& listener) {
  return {.transparent = listener.accept == Accept::transparent, .fast_open = listener.fast_open};
}

}  // namespace

Result<UserListeners::Place> UserListeners::open_place(const Endpoint& at, const ServiceOptions& options,
                                                       unsigned threads) {
  if (Result<> is_free = expect_free(at); !is_free) return std::unexpected(is_free.error());
  Place place{at, options, {}};
  for (unsigned i = 0; i < threads; ++i) {
    Result<Fd> fd = listen_as_service(at, options);
    if (!fd) return std::unexpected(fd.error());
    place.sockets.push_back(std::make_shared<Fd>(std::move(*fd)));
  }
  return place;
}

Result<UserListeners> UserListeners::open(std::span<const ListenerSettings> listeners, unsigned threads) {
  UserListeners none;
  none.threads_ = threads;
  return none.changed_to(listeners);
}

Result<UserListeners> UserListeners::changed_to(std::span<const ListenerSettings> listeners) const {
  UserListeners changed;
  changed.threads_ = threads_;
  for (const ListenerSettings& listener : listeners)
    for (const Endpoint& at : listener.listen) {
      if (const Place* const there = place_at(at)) {
        changed.places_.push_back(*there);
        continue;
      }
      Result<Place> place = open_place(at, options_of(listener), threads_);
      if (!place) return failure_in(listener.name, place);
      changed.places_.push_back(std::move(*place));
    }
  return changed;
}

const UserListeners::Place* UserListeners::place_at(const Endpoint& at) const {
  const auto found = std::ranges::find(places_, at, &Place::at);
  return found == places_.end() ? nullptr : &*found;
}

std::vector<int> UserListeners::descriptors() const { return descriptors_beyond({}); }

std::vector<int> UserListeners::descriptors_beyond(const UserListeners& other) const {
  std::vector<int> descriptors;
  for (const Place& place : places_) {
    if (other.place_at(place.at) != nullptr) continue;
    for (const auto& socket : place.sockets) descriptors.push_back(socket->raw());
  }
  return descriptors;
}

Reopened UserListeners::reopen_dead() {
  Reopened reopened;
  for (Place& place : places_)
    for (const auto& socket : place.sockets)
      if (!is_listening(socket->raw())) reopened.take(listen_as_service(place.at, place.options), *socket);
  return reopened;
}

void UserListeners::shut() const {
  for (const Place& place : places_)
    for (const auto& socket : place.sockets) (void)::shutdown(socket->raw(), SHUT_RD);  // ENOTCONN: it is dead already
}

}  // namespace limpid
