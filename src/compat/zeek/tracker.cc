#include "compat/zeek/tracker.h"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <tuple>
#include <utility>
#include <vector>

namespace tcpwhy::compat::zeek {
namespace {

// max_timer_expires: more are left for the next packet.
constexpr int most_timers_a_packet = 300;

// An address as Zeek keeps it: IPv4 mapped into IPv6.
std::array<std::uint8_t, 16> mapped(const wire::IpAddress& address) {
  if (address.family != wire::IpFamily::v4) return address.bytes;
  std::array<std::uint8_t, 16> bytes{};
  bytes[10] = bytes[11] = 0xff;
  std::copy_n(address.bytes.begin(), 4, bytes.begin() + 12);
  return bytes;
}

// As Zeek orders the ends. Neither VLAN nor tunnel is part of its key.
scan::FlowKey key_of(const Packet& packet) {
  // Ports are compared as a little-endian machine reads their bytes: that is how Zeek decides between equal addresses.
  const auto order = [](const wire::SocketAddress& end) { return std::pair(mapped(end.ip), std::byteswap(end.port)); };
  const bool in_order = order(packet.source) < order(packet.destination);
  const scan::AddressWords source(packet.source), destination(packet.destination);
  return in_order ? scan::FlowKey{source, destination, {}} : scan::FlowKey{destination, source, {}};
}

// The order in which Zeek writes what is left at the end when its tests fix the seed of its hash.
auto final_order(const scan::FlowKey& key) {
  const wire::SocketAddress low = key.low.address(), high = key.high.address();
  return std::tuple(mapped(low.ip), mapped(high.ip), low.port, high.port);
}

}  // namespace

Tracker::Tracker(Write write, Limits limits)
    : write_(std::move(write)), limits_(limits), by_key_(0, Hash{limits.seed}) {
  surroundings_.budget.left = limits.stretches;
}

void Tracker::advance(std::int64_t at_us) {
  surroundings_.now_us = std::max(surroundings_.now_us, at_us);
  for (int spent = 0; spent < most_timers_a_packet; ++spent) {
    const auto timer = surroundings_.timers.due(surroundings_.now_us);
    if (!timer) return;
    auto& live = static_cast<Live&>(*(*timer)->second.connection);
    if (live.ends_by(*timer)) end_connection(by_key_.at(live.key));
  }
}

void Tracker::take(Packet packet) {
  packet.source = packet.source.unmapped();
  packet.destination = packet.destination.unmapped();
  const scan::FlowKey key = key_of(packet);
  const auto found = by_key_.find(key);
  if (found != by_key_.end() && !found->second->is_reused_by(packet)) {
    live_.splice(live_.end(), live_, found->second);
    found->second->take(packet);
    return;
  }
  if (found != by_key_.end()) end_connection(found->second);
  begin_connection(key, packet)->take(packet);
}

void Tracker::finish() {
  std::vector<Place> places;
  for (auto place = live_.begin(); place != live_.end(); ++place) places.push_back(place);
  std::ranges::sort(places, {}, [](Place place) { return final_order(place->key); });
  for (const Place place : places) end_connection(place);
}

Tracker::Place Tracker::begin_connection(const scan::FlowKey& key, const Packet& first) {
  if (live_.size() >= limits_.connections) {
    ++evicted_;
    end_connection(live_.begin());
  }
  live_.emplace_back(key, first, surroundings_);
  const auto place = std::prev(live_.end());
  by_key_.emplace(key, place);
  return place;
}

void Tracker::end_connection(Place place) {
  write_(place->row());
  by_key_.erase(place->key);
  live_.erase(place);
}

}  // namespace tcpwhy::compat::zeek
