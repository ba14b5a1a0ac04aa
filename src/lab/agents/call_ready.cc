// From a call as written to the system calls that it stands for.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "lab/agents/call.h"

namespace tcpwhy::lab {
namespace {

constexpr int default_backlog = 128;

ReadyCall ready(const CallSpec& spec, const Resolved& resolved) {
  ReadyCall call;
  call.id = spec.id;
  call.fd = resolved.fd;
  call.fd_from = resolved.fd_from;
  call.passed_fd = resolved.passed_fd;
  call.size = spec.size;
  call.flags = spec.flags;
  call.number = spec.number;
  call.family = resolved.family;
  call.option = spec.option;
  call.disposition = spec.disposition;
  for (std::size_t i = 0; i < std::min<std::size_t>(spec.values.size(), std::size(call.values)); ++i)
    call.values[i] = spec.values[i];
  if (resolved.address) call.address = to_sockaddr(*resolved.address, call.address_length);
  if (spec.peer.end == unspecified_peer) {
    call.address.ss_family = AF_UNSPEC;
    call.address_length = sizeof(sockaddr_in);
  }
  return call;
}

// A call that acts on the socket which an earlier call of the batch makes.
ReadyCall on_made(const CallSpec& spec, const Resolved& resolved, CallId id, std::size_t made_by) {
  ReadyCall call = ready(spec, resolved);
  call.id = id;
  call.fd = -1;
  call.fd_from = static_cast<std::int32_t>(made_by);
  call.needs_previous = true;
  return call;
}

ReadyCall make_socket(const Resolved& resolved) {
  ReadyCall call;
  call.id = CallId::socket;
  call.family = resolved.family;
  return call;
}

}  // namespace

void append_ready(std::vector<ReadyCall>& batch, std::string& payload, const CallSpec& spec, const Resolved& resolved) {
  const std::size_t first = batch.size();
  if (spec.id == CallId::listen && !resolved.on_existing_socket) {
    batch.push_back(make_socket(resolved));
    ReadyCall reuse = on_made(spec, resolved, CallId::setsockopt, first);
    reuse.option = option_row("SO_REUSEADDR");
    reuse.values[0] = 1;
    batch.push_back(reuse);
    batch.push_back(on_made(spec, resolved, CallId::bind, first));
    batch.push_back(on_made(spec, resolved, CallId::listen, first));
  } else if (spec.id == CallId::connect && !resolved.on_existing_socket) {
    batch.push_back(make_socket(resolved));
    batch.push_back(on_made(spec, resolved, CallId::connect, first));
  } else {
    batch.push_back(ready(spec, resolved));
  }
  ReadyCall& last = batch.back();
  if (last.id == CallId::listen && last.number <= 0) last.number = default_backlog;
  if (!spec.payload.bytes.empty()) {
    last.payload_offset = static_cast<std::uint32_t>(payload.size());
    last.payload_length = static_cast<std::uint32_t>(spec.payload.bytes.size());
    last.payload_repeat = spec.payload.repeat;
    payload += spec.payload.bytes;
  }
}

sockaddr_storage to_sockaddr(const wire::SocketAddress& address, socklen_t& length) {
  sockaddr_storage storage{};
  if (address.ip.family == wire::IpFamily::v4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    std::memcpy(&v4.sin_addr, address.ip.bytes.data(), 4);
    std::memcpy(&storage, &v4, sizeof v4);
    length = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    std::memcpy(&v6.sin6_addr, address.ip.bytes.data(), 16);
    std::memcpy(&storage, &v6, sizeof v6);
    length = sizeof v6;
  }
  return storage;
}

std::optional<wire::SocketAddress> from_sockaddr(const sockaddr_storage& address, socklen_t length) {
  if (address.ss_family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    std::array<std::uint8_t, 4> octets{};
    std::memcpy(octets.data(), &v4.sin_addr, 4);
    return wire::SocketAddress{wire::IpAddress::v4(octets), ntohs(v4.sin_port)};
  }
  if (address.ss_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    std::array<std::uint8_t, 16> octets{};
    std::memcpy(octets.data(), &v6.sin6_addr, 16);
    return wire::SocketAddress{wire::IpAddress::v6(octets).unmapped(), ntohs(v6.sin6_port)};
  }
  return std::nullopt;
}

}  // namespace tcpwhy::lab
