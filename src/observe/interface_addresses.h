// Which connections go over a network interface, by their addresses: `watch -i`.
#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "wire/address.h"

namespace tcpwhy::observe {

// Of all interfaces of the network namespace that is current; nothing where they cannot be had.
std::set<wire::IpAddress> addresses_here();

class InterfaceAddresses {
 public:
  // The addresses of this machine as they are now, in the network namespace that is current. Error: usage, with the names there are.
  static base::Result<InterfaceAddresses> of(const std::string& interface);

  // A connection between two addresses of this machine goes over the loopback interface, whichever has them; any other one over
  // the interface that has its local address.
  [[nodiscard]] bool fits(const wire::SocketAddress& local, const wire::SocketAddress& remote) const;

 private:
  [[nodiscard]] bool is_here(const wire::IpAddress& address) const;

  bool is_loopback_ = false;
  std::set<wire::IpAddress> its_own_, of_this_machine_;
};

}  // namespace tcpwhy::observe
