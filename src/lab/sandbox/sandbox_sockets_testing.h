// For tests: a TCP connection without ceremony, made by whoever calls, in the network namespace that is current.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

#include "base/unique_fd.h"
#include "wire/address.h"

namespace tcpwhy::lab::testing {

struct RawAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] const sockaddr* get() const { return static_cast<const sockaddr*>(static_cast<const void*>(&storage)); }
};

inline RawAddress raw_address(const wire::IpAddress& ip, std::uint16_t port) {
  RawAddress raw;
  if (ip.family == wire::IpFamily::v4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, ip.bytes.data(), 4);
    std::memcpy(&raw.storage, &in, raw.length = sizeof in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    std::memcpy(&in.sin6_addr, ip.bytes.data(), 16);
    std::memcpy(&raw.storage, &in, raw.length = sizeof in);
  }
  return raw;
}

// Invalid when a call failed.
inline base::UniqueFd listen_on(const wire::IpAddress& ip, std::uint16_t port) {
  const auto address = raw_address(ip, port);
  base::UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::bind(fd.get(), address.get(), address.length) != 0 || ::listen(fd.get(), 8) != 0) fd.reset();
  return fd;
}

inline base::UniqueFd connect_to(const wire::IpAddress& ip, std::uint16_t port) {
  const auto address = raw_address(ip, port);
  base::UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), address.get(), address.length) != 0) fd.reset();
  return fd;
}

inline base::UniqueFd accept_from(const base::UniqueFd& listener) {
  return base::UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

inline std::uint64_t cookie_of(const base::UniqueFd& fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_COOKIE, &cookie, &size);
  return cookie;
}

}  // namespace tcpwhy::lab::testing
