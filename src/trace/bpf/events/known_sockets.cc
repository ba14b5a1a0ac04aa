#include "trace/bpf/events/known_sockets.h"

#include <sys/socket.h>

#include <span>
#include <type_traits>
#include <variant>

namespace tcpwhy::trace {
namespace {

using namespace recording;

constexpr std::size_t most_incomplete = 256;  // events of a socket that wait for its cookie

void complete(KnownSocket& known, Recording& recording) {
  const auto fill = [&known](auto& event) {
    if constexpr (requires {
                    event.socket;
                    event.local;
                    event.remote;
                  }) {
      if (event.socket == 0) event.socket = known.cookie;
      if constexpr (std::is_same_v<decltype(event.local), std::optional<wire::SocketAddress>>) {
        if (!event.local) event.local = known.local;
      } else {
        if (event.local.port == 0 && known.local) event.local = *known.local;
        if (event.remote.port == 0 && known.remote) event.remote = *known.remote;
      }
    }
  };
  for (const std::uint32_t event : known.incomplete) std::visit(fill, recording.events[event].what);
  if (known.cookie != 0 && known.local) known.incomplete.clear();
}

}  // namespace

std::optional<wire::SocketAddress> address_of(std::uint16_t family, const __u8 (&bytes)[16], std::uint16_t port) {
  if (port == 0 || (family != AF_INET && family != AF_INET6)) return std::nullopt;
  const std::span<const std::uint8_t, 16> all(bytes);
  const auto ip = family == AF_INET ? wire::IpAddress::v4(all.first<4>()) : wire::IpAddress::v6(all);
  return wire::SocketAddress{ip.unmapped(), port};
}

bool says_less(const wire::SocketAddress& now, const std::optional<wire::SocketAddress>& before) {
  return before && now.port == before->port && now.ip.is_unspecified() && !before->ip.is_unspecified();
}

KnownSocket* KnownSockets::find(std::uint64_t pointer) {
  const auto known = sockets_.find(pointer);
  return known == sockets_.end() ? nullptr : &known->second;
}

KnownSocket* KnownSockets::learn(const probe_socket& socket, Recording& recording) {
  if (socket.pointer == 0) return nullptr;
  if (socket.family == 0) return find(socket.pointer);  // told whole before
  KnownSocket& known = sockets_[socket.pointer];
  // The address of a socket is used again as soon as it is free: another cookie is another socket.
  if (known.cookie != 0 && socket.cookie != 0 && known.cookie != socket.cookie) known = {};
  bool news = false;
  const auto take = [&news](auto& place, const auto& value, bool is_there) {
    if (!is_there || place == value) return;
    place = value;
    news = true;
  };
  take(known.cookie, socket.cookie, socket.cookie != 0);
  // A listener's local address may be any: a port is enough.
  const auto local = address_of(socket.family, socket.local, socket.local_port);
  const auto remote = address_of(socket.family, socket.remote, socket.remote_port);
  take(known.local, local, local.has_value() && !says_less(*local, known.local));
  take(known.remote, remote, remote.has_value());
  if (news && !known.incomplete.empty()) complete(known, recording);
  return &known;
}

void remember(KnownSocket* known, std::uint32_t event) {
  if (known == nullptr || (known->cookie != 0 && known->local) || known->incomplete.size() >= most_incomplete) return;
  known->incomplete.push_back(event);
}

}  // namespace tcpwhy::trace
