// The few requests of rtnetlink(7) that the link needs, spoken directly: no `ip` command. All act on the network namespace
// that is current when the RtNetlink was opened.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "wire/address.h"

struct nlmsghdr;  // linux/netlink.h

namespace tcpwhy::lab {

using MacAddress = std::array<std::uint8_t, 6>;

struct VethEnd {
  std::string name;
  MacAddress mac{};
  bool arp = true;  // false: IFF_NOARP, no ARP, no neighbour discovery, no multicast reports
};

struct Neighbour {
  wire::IpAddress ip;
  MacAddress mac{};
};

class RtNetlink {
 public:
  static base::Result<RtNetlink> open();

  // `here` in this namespace, its peer `there` in the namespace of descriptor `there_ns`.
  base::Status add_veth_pair(const VethEnd& here, const VethEnd& there, int there_ns);
  base::Status set_up(const std::string& interface);
  // Until what is sent there leaves. An interface that is up and whose link has come throws away what it is given (QDISC_DROP of its
  // "noop") until the kernel's worker has given it a queueing discipline: net/core/link_watch.c, dev_activate().
  base::Status await_queueing_discipline(const std::string& interface);
  // IPv6 without duplicate address detection (IFA_F_NODAD).
  base::Status add_address(const std::string& interface, const wire::IpAddress& ip, std::uint8_t prefix_length);
  // NUD_PERMANENT: never asked for, never forgotten.
  base::Status add_neighbour(const std::string& interface, const Neighbour& neighbour);

 private:
  using Answer = int (*)(const nlmsghdr*, void*);

  explicit RtNetlink(base::UniqueFd socket) : socket_(std::move(socket)) {}
  // Sends and waits for the acknowledgement; `what` begins the error message. `answer` (mnl_cb_t) is given what comes before it.
  base::Status request(void* message, const base::OwnedText& what, Answer answer = nullptr, void* data = nullptr);

  base::UniqueFd socket_;
  std::uint32_t sequence_ = 0;
};

// Switches checksum, segmentation and receive offloads of an interface of the current namespace off (SIOCETHTOOL), so that
// packets are real segments with complete checksums.
base::Status disable_offloads(const std::string& interface);

}  // namespace tcpwhy::lab
