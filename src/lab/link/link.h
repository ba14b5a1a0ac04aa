// The `link` wire: two network namespaces ("ends") joined through our own forwarding.
//
//    namespace client          the sandbox's own namespace             namespace server
//   ┌────────────────┐        ┌───────────────────────────┐           ┌────────────────┐
//   │ eth0 10.9.0.1  │ veth   │ client ── forwarder ── server │  veth │ 10.9.0.2 eth0  │
//   │      fd09::1   ├────────┤   (raw AF_PACKET sockets)     ├───────┤ fd09::2        │
//   └────────────────┘        └───────────────────────────┘           └────────────────┘
//
// Every packet passes through the forwarder's hands, which is where an experiment delays or drops it (and later holds, duplicates
// or injects it). The wire is silent but for the experiment: no ARP or neighbour discovery (permanent neighbours, IFF_NOARP),
// no router solicitation, no multicast reports, no link-local addresses. Offloads are off, the MTU is 1500: what is captured
// are real segments with complete checksums.
//
// The forwarder is a process of its own, forked by create() inside the sandbox: a delay must not wait for whoever drives
// the experiment while that one samples states or writes. It dies with the sandbox, or with the Link.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "lab/link/netns.h"
#include "wire/address.h"

namespace tcpwhy::lab {

enum class LinkEnd : std::uint8_t { client, server };
std::string_view to_string(LinkEnd end);
inline LinkEnd other(LinkEnd end) { return end == LinkEnd::client ? LinkEnd::server : LinkEnd::client; }

inline constexpr std::string_view link_interface = "eth0";  // in each end's namespace

// The end's address on the link: 10.9.0.1 and fd09::1 of the client, 10.9.0.2 and fd09::2 of the server.
wire::IpAddress link_address(LinkEnd end, wire::IpFamily family);

struct LinkOptions {
  base::Duration client_to_server{0};  // one-way delays
  base::Duration server_to_client{0};
};

// What the forwarder did with a packet; for recording::LinkAction.
enum class LinkDeed : std::uint8_t {
  forwarded,
  dropped,   // as the experiment asked: Link::set_dropping()
  overflow,  // the forwarder's own queue was full: a loss of ours, not of the experiment
  refused,   // the kernel did not take it (the other end is down, or no memory)
};
struct LinkReport {
  LinkDeed deed = LinkDeed::forwarded;
  LinkEnd from = LinkEnd::client;
  std::uint32_t number = 0;      // 1, 2, 3, ... per direction, in order of arrival
  std::uint32_t length = 0;      // bytes, Ethernet header included
  base::WallTime arrived, left;  // at and from the forwarder's interfaces
};

class Link {
 public:
  // Inside a Sandbox, once per sandbox, with no thread but the caller's. Makes both namespaces, applies standard_sysctls() to
  // each, and starts forwarding; when it returns, both ends are reachable.
  static base::Result<Link> create(const LinkOptions& options);

  Link(Link&&) noexcept;
  Link& operator=(Link&&) noexcept;
  ~Link();

  // To be entered by agents, and for opening captures (on link_interface) and samplers in it.
  [[nodiscard]] const NetNamespace& end(LinkEnd end) const;
  // What standard_sysctls() came to in the ends.
  [[nodiscard]] const AppliedSysctls& sysctls() const;

  // Readable when drain() has reports, or the forwarder ended.
  [[nodiscard]] int fd() const;
  // Appends the reports that wait. Never blocks. An error when the forwarder is gone, with what it said.
  base::Status drain(std::vector<LinkReport>& reports);
  // From now on every packet that comes from this end is lost, or no longer. What the forwarder holds already still arrives;
  // what waits to be read by it does not.
  void set_dropping(LinkEnd from, bool drop);
  // The forwarder, so that waitpid() for anybody can tell it apart.
  [[nodiscard]] pid_t forwarder() const;

 private:
  struct Impl;
  explicit Link(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tcpwhy::lab
