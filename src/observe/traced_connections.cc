#include "observe/traced_connections.h"

#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace tcpwhy::observe {
namespace {

using namespace std::chrono_literals;

constexpr auto clocks_differ = 200us;  // the tap's stamps and the tracer's

std::size_t hash_of(const wire::SocketAddress& address) {
  const std::string_view bytes(reinterpret_cast<const char*>(address.ip.bytes.data()), address.ip.bytes.size());
  return std::hash<std::string_view>{}(bytes) * 31 + address.port;
}

}  // namespace

Flow Flow::between(const wire::SocketAddress& one, const wire::SocketAddress& other) {
  Flow flow{one.unmapped(), other.unmapped()};
  if (flow.high < flow.low) std::swap(flow.low, flow.high);
  return flow;
}

std::size_t HashFlow::operator()(const Flow& flow) const {
  return hash_of(flow.low) * 0x9e37'79b9'7f4a'7c15ULL + hash_of(flow.high);
}

std::size_t TracedConnections::HashAddress::operator()(const wire::SocketAddress& address) const {
  return hash_of(address);
}

void TracedConnections::learn(const recording::Event& event) {
  std::visit([&](const auto& what) { learn_from(what, event.at); }, event.what);
}

void TracedConnections::learn(const trace::Conversation& told) {
  if (told.remote.port == 0)
    listening_[told.local.port].insert(told.local.unmapped().ip);
  else
    flows_.insert(Flow::between(told.local, told.remote));
}

template <class What>
void TracedConnections::learn_from(const What& what, base::WallTime at) {
  if constexpr (std::is_same_v<What, recording::CallEntered> || std::is_same_v<What, recording::CallReturned> ||
                std::is_same_v<What, recording::SegmentCause> || std::is_same_v<What, recording::Reset>)
    if (what.local && what.remote && what.local->port != 0 && what.remote->port != 0) {
      flows_.insert(Flow::between(*what.local, *what.remote));
      if (what.socket != 0) sockets_with_flow_.insert(what.socket);
    }
  if constexpr (std::is_same_v<What, recording::CallEntered>) {
    if (what.name == "listen" && what.local) listening_[what.local->port].insert(what.local->unmapped().ip);
    if (what.name == "connect" && what.remote) {
      Connects& there = connects_[what.remote->unmapped()];
      running_.insert_or_assign(what.call, Running{&there, there.running.emplace(at, Connect{.socket = what.socket})});
    }
  }
  if constexpr (std::is_same_v<What, recording::CallReturned>)
    if (const auto found = running_.find(what.call); found != running_.end()) {
      const auto [there, call] = found->second;
      auto returned = there->running.extract(call);
      running_.erase(found);
      if (sockets_with_flow_.contains(returned.mapped().socket)) return;
      returned.mapped().left = at;
      there->longest = std::max(there->longest, at - returned.key());
      there->returned.insert(std::move(returned));
    }
}

bool TracedConnections::takes(const wire::SocketAddress& from, const wire::SocketAddress& to, base::WallTime at) {
  const Flow flow = Flow::between(from, to);
  if (flows_.contains(flow)) return true;
  const bool is_theirs = is_asked(from.unmapped()) || is_asked(to.unmapped()) || is_called(to.unmapped(), at);
  if (is_theirs) flows_.insert(flow);
  return is_theirs;
}

// Of the samples only what the program did, or what passed on the wire meanwhile: entries in TIME-WAIT may be from before.
bool TracedConnections::takes(const recording::SocketState& state, base::WallTime at) const {
  const auto local = state.local.unmapped(), remote = state.remote.unmapped();
  if (remote.port == 0) return is_asked(local);
  return flows_.contains(Flow::between(local, remote)) || (local.port == 0 && is_called(remote, at));
}

bool TracedConnections::is_asked(const wire::SocketAddress& address) const {
  const auto found = listening_.find(address.port);
  return found != listening_.end() && std::ranges::any_of(found->second, [&](const wire::IpAddress& local) {
           const bool any = local.family == wire::IpFamily::none || local.is_unspecified();
           return any ? is_here(address.ip) : local == address.ip;
         });
}

bool TracedConnections::is_called(const wire::SocketAddress& address, base::WallTime at) const {
  const auto found = connects_.find(address);
  if (found == connects_.end()) return false;
  const Connects& there = found->second;
  const auto any = [&](auto first, auto last) {
    return std::any_of(first, last, [&](const auto& call) {
      return at - clocks_differ <= call.second.left && !sockets_with_flow_.contains(call.second.socket);
    });
  };
  // None that began so early, or so late, can have been under way.
  const auto latest = at + clocks_differ;
  return any(there.running.begin(), there.running.upper_bound(latest)) ||
         any(there.returned.lower_bound(at - clocks_differ - there.longest), there.returned.upper_bound(latest));
}

bool TracedConnections::is_here(const wire::IpAddress& ip) const {
  const bool loopback = ip.family == wire::IpFamily::v4 && ip.bytes[0] == 127;
  return loopback || ip.is_unspecified() || here_.contains(ip);
}

std::set<wire::IpAddress> addresses_of_this_host() {
  std::set<wire::IpAddress> addresses;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    if (one->ifa_addr->sa_family == AF_INET) {
      std::array<std::uint8_t, 4> octets;
      std::memcpy(octets.data(), &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr, octets.size());
      addresses.insert(wire::IpAddress::v4(octets));
    } else if (one->ifa_addr->sa_family == AF_INET6) {
      std::array<std::uint8_t, 16> octets;
      std::memcpy(octets.data(), &reinterpret_cast<const sockaddr_in6*>(one->ifa_addr)->sin6_addr, octets.size());
      addresses.insert(wire::IpAddress::v6(octets).unmapped());
    }
  }
  freeifaddrs(list);
  return addresses;
}

}  // namespace tcpwhy::observe
