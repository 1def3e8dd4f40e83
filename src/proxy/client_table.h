// SPDX-License-Identifier: MIT
// What is known for clients, each entry under a key of text: bounded in all and for each client. Where there is no
// room, the least recently used goes.
#pragma once
#include <boost/intrusive/list.hpp>
#include <string>
#include <string_view>
#include <unordered_map>

#include "net/address.h"
#include "proxy/random_seed.h"

namespace limpid {

struct ClientTableLimits {
  std::size_t entries;
  std::size_t entries_per_client;
};

template <class Value>
class ClientTable {
 public:
  explicit ClientTable(const ClientTableLimits& limits)
      : limits_(limits), seed_(random_seed()), entries_(0, Hash{seed_}, Equal()), clients_(0, Hash{seed_}) {}

  // Null: there is none. To be found is to be used.
  Value* find(const Address& client, std::string_view key) {
    const auto found = entries_.find(View{client, key});
    if (found == entries_.end()) return nullptr;
    use(found->second);
    return &found->second.value;
  }

  // The entry, or a new one. gone(value) is told of each that had to go for it.
  template <class Gone>
  Value& at(const Address& client, std::string_view key, Gone gone) {
    if (Value* const known = find(client, key)) return *known;
    const auto own = clients_.find(client);
    Entry* const leaving = own != clients_.end() && own->second.size() >= limits_.entries_per_client
                               ? &own->second.front()
                           : entries_.size() >= limits_.entries ? &all_.front()
                                                                : nullptr;
    if (leaving != nullptr) {
      gone(leaving->value);
      erase(*leaving);
    }
    const auto place = entries_.try_emplace(Key{client, std::string(key)}).first;
    place->second.key = &place->first;
    all_.push_back(place->second);
    clients_[client].push_back(place->second);
    return place->second.value;
  }

  // False: there was none.
  bool erase(const Address& client, std::string_view key) {
    const auto found = entries_.find(View{client, key});
    if (found == entries_.end()) return false;
    erase(found->second);
    return true;
  }

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Key {
    Address client;
    std::string text;
  };
  struct View {
    const Address& client;
    std::string_view text;
    View(const Address& its_client, std::string_view its_text) : client(its_client), text(its_text) {}
    View(const Key& key) : client(key.client), text(key.text) {}
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const View& a, const View& b) const { return a.client == b.client && a.text == b.text; }
  };
  struct Hash {
    using is_transparent = void;
    HashSeed seed;
    std::size_t operator()(const Address& client) const { return of(client).value(); }
    std::size_t operator()(const View& view) const {
      SuffixHash hash = of(view.client);
      hash.add(view.text);
      return hash.value();
    }
    [[nodiscard]] SuffixHash of(const Address& client) const {
      SuffixHash hash(seed);
      hash.add({reinterpret_cast<const char*>(client.bytes()), static_cast<std::size_t>(client.bits() / 8)});
      return hash;
    }
  };
  template <class Tag>
  using Hook = boost::intrusive::list_base_hook<boost::intrusive::tag<Tag>>;
  struct Entry : Hook<struct OfAll>, Hook<struct OfTheClient> {
    Value value{};
    const Key* key = nullptr;
  };
  using All = boost::intrusive::list<Entry, boost::intrusive::base_hook<Hook<OfAll>>>;
  using Siblings = boost::intrusive::list<Entry, boost::intrusive::base_hook<Hook<OfTheClient>>>;

  void use(Entry& entry) {
    all_.splice(all_.end(), all_, All::s_iterator_to(entry));
    Siblings& siblings = clients_.find(entry.key->client)->second;
    siblings.splice(siblings.end(), siblings, Siblings::s_iterator_to(entry));
  }
  void erase(Entry& entry) {
    const auto client = clients_.find(entry.key->client);
    client->second.erase(Siblings::s_iterator_to(entry));
    if (client->second.empty()) clients_.erase(client);
    all_.erase(All::s_iterator_to(entry));
    entries_.erase(entries_.find(View(*entry.key)));
  }

  ClientTableLimits limits_;
  HashSeed seed_;
  std::unordered_map<Key, Entry, Hash, Equal> entries_;
  // Least recently used first. They go before what they link.
  std::unordered_map<Address, Siblings, Hash> clients_;
  All all_;
};

}  // namespace limpid
