#include "render/tcpdump/conversations.h"

#include <functional>
#include <string_view>

namespace tcpwhy::render::tcpdump {
namespace {

std::size_t hash_of(const wire::SocketAddress& address) {
  const auto& bytes = address.ip.bytes;
  const std::size_t ip =
      std::hash<std::u8string_view>{}({reinterpret_cast<const char8_t*>(bytes.data()), bytes.size()});
  return ip ^ (address.port + 0x9e3779b97f4a7c15ULL);
}

}  // namespace

std::size_t Conversations::Hash::operator()(const Key& key) const {
  return hash_of(key.low) * 0x9e3779b97f4a7c15ULL + hash_of(key.high);
}

RelativeNumbers Conversations::relative(const wire::SocketAddress& source, const wire::SocketAddress& destination,
                                        bool syn, std::uint32_t seq, std::uint32_t ack) {
  const bool from_high = source > destination;
  const Key key = from_high ? Key{destination, source} : Key{source, destination};
  if (table_.size() >= most_ && !table_.contains(key)) table_.clear();
  const auto [entry, is_new] = table_.try_emplace(key);
  auto& own = from_high ? entry->second.high : entry->second.low;
  auto& other = from_high ? entry->second.low : entry->second.high;
  if (is_new || syn) {
    own = seq;
    other = ack - 1;
    return {seq, ack, other};
  }
  return {seq - own, ack - other, other};
}

}  // namespace tcpwhy::render::tcpdump
