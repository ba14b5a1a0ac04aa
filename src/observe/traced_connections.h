// Which of the packets and sockets of the machine are the traced program's, by the addresses that its calls and the kernel's events
// name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "recording/event.h"
#include "trace/tracer.h"
#include "wire/address.h"

namespace tcpwhy::observe {

// The two ends of a connection, in no order. IPv4 in IPv6 as IPv4.
struct Flow {
  wire::SocketAddress low, high;
  static Flow between(const wire::SocketAddress& one, const wire::SocketAddress& other);
  bool operator==(const Flow&) const = default;
};
struct HashFlow {
  std::size_t operator()(const Flow& flow) const;
};

class TracedConnections {
 public:
  // `here`: the addresses of this machine, which a listener of any address has.
  explicit TracedConnections(std::set<wire::IpAddress> here) : here_(std::move(here)) {}

  void learn(const recording::Event& event);
  void learn(const trace::Conversation& told);

  // A packet of theirs; from now on its connection is known.
  bool takes(const wire::SocketAddress& from, const wire::SocketAddress& to, base::WallTime at);
  [[nodiscard]] bool takes(const recording::SocketState& state, base::WallTime at) const;
  [[nodiscard]] bool knows(const Flow& flow) const { return flows_.contains(flow); }
  // None was named, nor tried, nor waited for.
  [[nodiscard]] bool knows_none() const { return flows_.empty() && connects_.empty() && listening_.empty(); }

 private:
  struct Connect {
    std::uint64_t socket = 0;
    base::WallTime left = base::WallTime::max();
  };
  // connect()s to one address, by when they were entered. Those that came back and whose flow is known need not be remembered.
  using ByEntry = std::multimap<base::WallTime, Connect>;
  struct Connects {
    ByEntry running, returned;
    base::Duration longest{};  // of those that came back
  };
  struct HashAddress {
    std::size_t operator()(const wire::SocketAddress& address) const;
  };

  template <class What>
  void learn_from(const What& what, base::WallTime at);
  [[nodiscard]] bool is_asked(const wire::SocketAddress& address) const;
  [[nodiscard]] bool is_called(const wire::SocketAddress& address, base::WallTime at) const;
  [[nodiscard]] bool is_here(const wire::IpAddress& ip) const;

  std::set<wire::IpAddress> here_;
  std::unordered_set<Flow, HashFlow> flows_;
  std::unordered_set<std::uint64_t> sockets_with_flow_;
  // One that failed may have left nothing that knows its port: its SYN passed while it ran.
  std::unordered_map<wire::SocketAddress, Connects, HashAddress> connects_;
  struct Running {
    Connects* there;  // map nodes stay where they are
    ByEntry::iterator call;
  };
  std::unordered_map<std::uint32_t, Running> running_;                      // by number of the call
  std::unordered_map<std::uint16_t, std::set<wire::IpAddress>> listening_;  // by port
};

// Of the interfaces that are up.
std::set<wire::IpAddress> addresses_of_this_host();

}  // namespace tcpwhy::observe
