// SPDX-License-Identifier: MIT
#include "policy/policy_bytes.h"

#include <type_traits>

namespace limpid {
namespace {

template <class Object, class Value>
concept ToReadOrWrite = std::is_same_v<std::remove_const_t<Object>, Value>;

// Every member once, for both directions.
void each_member(ToReadOrWrite<PolicySource> auto& source, auto member) {
  member(source.rules);
  member(source.upstreams);
  member(source.listeners);
}
void each_member(ToReadOrWrite<Rule> auto& rule, auto member) {
  member(rule.name);
  member(rule.from);
  member(rule.to);
  member(rule.port);
  member(rule.proto);
  member(rule.host);
  member(rule.host_file);
  member(rule.verify_host);
  member(rule.app);
  member(rule.time);
  member(rule.action);
  member(rule.host_names);
}
void each_member(ToReadOrWrite<Upstream> auto& upstream, auto member) {
  member(upstream.name);
  member(upstream.type);
  member(upstream.address);
  member(upstream.username);
  member(upstream.password_file);
  member(upstream.send);
  member(upstream.proxy_protocol);
  member(upstream.source);
  member(upstream.when_down);
  member(upstream.hash);
  member(upstream.fast_open);
  member(upstream.sessions);
  member(upstream.connect_timeout);
  member(upstream.check_interval);
  member(upstream.check);
  member(upstream.password);
}
void each_member(ToReadOrWrite<ListenerSettings> auto& listener, auto member) {
  member(listener.name);
  member(listener.listen);
  member(listener.accept);
  member(listener.trusted);
  member(listener.action);
  member(listener.fast_open);
}

class Writer {
 public:
  std::string bytes;

  template <class Value>
  void operator()(const Value& value) {
    if constexpr (std::is_trivially_copyable_v<Value>)
      bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    else
      each_member(value, [this](const auto& member) { (*this)(member); });
  }
  void operator()(const std::string& text) {
    (*this)(text.size());
    bytes += text;
  }
  template <class Value>
  void operator()(const std::vector<Value>& values) {
    (*this)(values.size());
    for (const Value& value : values) (*this)(value);
  }
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  // All of it was there, and nothing behind it.
  [[nodiscard]] bool is_right() const { return right_ && rest_.empty(); }

  template <class Value>
  void operator()(Value& value) {
    if constexpr (std::is_trivially_copyable_v<Value>) {
      const std::string_view bytes = take(sizeof value);
      if (right_) bytes.copy(reinterpret_cast<char*>(&value), sizeof value);
    } else {
      each_member(value, [this](auto& member) { (*this)(member); });
    }
  }
  void operator()(std::string& text) { text = take(count()); }
  template <class Value>
  void operator()(std::vector<Value>& values) {
    for (std::size_t left = count(); left > 0 && right_; --left) (*this)(values.emplace_back());
  }

 private:
  std::size_t count() {
    std::size_t number = 0;
    (*this)(number);
    return number;
  }
  std::string_view take(std::size_t size) {
    right_ = right_ && size <= rest_.size();
    if (!right_) return {};
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  std::string_view rest_;
  bool right_ = true;
};

}  // namespace

std::string to_bytes(const PolicySource& source) {
  Writer writer;
  writer(source);
  return std::move(writer.bytes);
}

Result<PolicySource> policy_from_bytes(std::string_view bytes) {
  PolicySource source;
  ByteReader reader(bytes);
  reader(source);
  if (!reader.is_right()) return failure(fmt::format("{} bytes that are no policy", bytes.size()));
  return source;
}

}  // namespace limpid
