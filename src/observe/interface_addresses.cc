#include "observe/interface_addresses.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>
#include <optional>

#include "base/format.h"

namespace tcpwhy::observe {
namespace {

std::optional<wire::IpAddress> address_of(const sockaddr* address) {
  if (address == nullptr) return std::nullopt;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(address);
  if (address->sa_family == AF_INET)
    return wire::IpAddress::v4(std::span<const std::uint8_t, 4>(bytes + offsetof(sockaddr_in, sin_addr), 4));
  if (address->sa_family == AF_INET6)
    return wire::IpAddress::v6(std::span<const std::uint8_t, 16>(bytes + offsetof(sockaddr_in6, sin6_addr), 16));
  return std::nullopt;
}

}  // namespace

std::set<wire::IpAddress> addresses_here() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, &freeifaddrs);
  std::set<wire::IpAddress> found;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next)
    if (const auto address = address_of(one->ifa_addr)) found.insert(*address);
  return found;
}

base::Result<InterfaceAddresses> InterfaceAddresses::of(const std::string& interface) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return base::fail_errno("getifaddrs");
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, &freeifaddrs);
  InterfaceAddresses made;
  std::set<std::string> names;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    names.insert(one->ifa_name);
    const bool is_it = interface == one->ifa_name;
    if (is_it && (one->ifa_flags & IFF_LOOPBACK) != 0) made.is_loopback_ = true;
    const auto address = address_of(one->ifa_addr);
    if (!address) continue;
    made.of_this_machine_.insert(*address);
    if (is_it) made.its_own_.insert(*address);
  }
  if (names.contains(interface)) return made;
  std::string known;
  for (const auto& name : names) known += (known.empty() ? "" : ", ") + name;
  return base::fail(base::ErrorKind::usage, base::format({"there is no interface {}", "没有接口 {}"}, interface),
                    base::format({"there are: {}", "现有：{}"}, known));
}

// 127.0.0.0/8 is this machine's as a whole (RFC 1122 3.2.1.3).
bool InterfaceAddresses::is_here(const wire::IpAddress& address) const {
  return of_this_machine_.contains(address) || (address.family == wire::IpFamily::v4 && address.bytes[0] == 127);
}

bool InterfaceAddresses::fits(const wire::SocketAddress& local, const wire::SocketAddress& remote) const {
  const auto here = local.ip.unmapped(), there = remote.ip.unmapped();
  if (is_here(there)) return is_loopback_;
  return its_own_.contains(here);
}

}  // namespace tcpwhy::observe
