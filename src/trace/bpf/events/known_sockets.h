// The sockets that records are about. Each is known by its kernel address until it is destroyed; what is learnt of it later (its cookie, its
// port) is filled in where it was missing.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "recording/recording.h"
#include "trace/bpf/program/protocol.h"
#include "wire/segment.h"

namespace tcpwhy::trace {

struct KnownSocket {
  std::uint64_t cookie = 0;
  std::optional<wire::SocketAddress> local, remote;
  std::vector<std::uint32_t> incomplete;    // events that lack the cookie or an address
  std::optional<std::uint32_t> last_cause;  // position of its latest SegmentCause
  std::vector<std::uint64_t> operations;    // of io_uring, not completed, in order of submission: the probe's ids
  // The io_uring operation that closed it, by its number: its FIN may come after its completion.
  std::optional<std::uint32_t> closed_by;
};

class KnownSockets {
 public:
  // What is known of the socket, this record included; null for none.
  KnownSocket* learn(const probe_socket& socket, recording::Recording& recording);
  KnownSocket* find(std::uint64_t pointer);  // null: not known
  void forget(std::uint64_t pointer) { sockets_.erase(pointer); }

 private:
  std::unordered_map<std::uint64_t, KnownSocket> sockets_;
};

// Remembers the event if something of its socket is not known yet.
void remember(KnownSocket* known, std::uint32_t event);

// Nothing for a port of 0.
std::optional<wire::SocketAddress> address_of(std::uint16_t family, const __u8 (&bytes)[16], std::uint16_t port);
// What a socket forgets when it is closed (its own address becomes any) is still known of it.
bool says_less(const wire::SocketAddress& now, const std::optional<wire::SocketAddress>& before);

// An event's socket and addresses: what the record says, else what is known.
template <class Event>
void tell_socket(Event& event, const probe_socket& socket, const KnownSocket* known) {
  const auto local = address_of(socket.family, socket.local, socket.local_port);
  const auto remote = address_of(socket.family, socket.remote, socket.remote_port);
  event.socket = known != nullptr && known->cookie != 0 ? known->cookie : socket.cookie;
  const auto fill = [](auto& place, const std::optional<wire::SocketAddress>& value,
                       const std::optional<wire::SocketAddress>& remembered) {
    if (value && !says_less(*value, remembered))
      place = *value;
    else if (remembered)
      place = *remembered;
  };
  fill(event.local, local, known != nullptr ? known->local : std::nullopt);
  fill(event.remote, remote, known != nullptr ? known->remote : std::nullopt);
}

}  // namespace tcpwhy::trace
