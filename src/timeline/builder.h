// The steps of timeline::build(), each in a file of its own. Not for other rooms.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "timeline/timeline.h"

namespace tcpwhy::timeline::steps {

// Step 1: packets -> segments in connections, endpoints followed through their states. Fills connections, segments.
void assemble_connections(Timeline& timeline);

// Step 2: calls paired with their returns. Fills calls.
void pair_calls(Timeline& timeline);

// Step 3: sockets -> ends of connections; a socket whose packets nobody saw gets a connection without any. Needs 1 and 2. Fills
// socket_ends, adds connections.
void identify_sockets(Timeline& timeline);

// Step 4: calls tied to the connection whose socket they act on. Needs 3. Fills the sides' actors and names.
void attach_calls(Timeline& timeline);

// Step 5: what the kernel said, tied to connections and to the segments that it speaks of. Needs 3.
void tie_kernel_events(Timeline& timeline);

// Step 6: what made each segment leave, by the rules. Needs 1 to 4.
void derive_causes(Timeline& timeline);

// Step 7: the kernel's own word on that, which wins. Needs 6.
void observe_causes(Timeline& timeline);

// Step 8: the kernel's states held against the derived ones. Needs 5.
void confirm_states(Timeline& timeline);

// Step 9: all events in causal order, with the states after each. Needs all before.
void order_entries(Timeline& timeline);

// The connections between two endpoints, in order of their beginning; v4-mapped counts as IPv4.
class ConnectionIndexByEnds {
 public:
  struct Found {
    ConnectionIndex connection;
    Side side;  // of `local`
  };
  explicit ConnectionIndexByEnds(const Timeline& timeline);
  void add(ConnectionIndex index);
  // The latest that had begun by then. Of a connection without packets more may be told from before what is known to be its
  // beginning: where none had begun, the first of those. Else nothing.
  [[nodiscard]] std::optional<Found> latest(const wire::SocketAddress& local, const wire::SocketAddress& remote,
                                            base::WallTime by) const;
  // The first that began at or after that.
  [[nodiscard]] std::optional<Found> first_since(const wire::SocketAddress& local, const wire::SocketAddress& remote,
                                                 base::WallTime since) const;

 private:
  using Ends = std::array<wire::SocketAddress, 2>;
  struct Between {
    std::vector<ConnectionIndex> with_packets;  // in order of their beginning
    std::vector<ConnectionIndex> without;       // so are these
  };
  [[nodiscard]] const Between& between(const wire::SocketAddress& one, const wire::SocketAddress& other) const;
  [[nodiscard]] Side side_of(ConnectionIndex index, const wire::SocketAddress& local) const;
  [[nodiscard]] static Ends key(const wire::SocketAddress& one, const wire::SocketAddress& other);

  const Timeline& timeline_;
  std::map<Ends, Between> connections_;
};

}  // namespace tcpwhy::timeline::steps
