// Data connections that an FTP control connection announces (RFC 959 PORT and 227, RFC 2428 229).
//
// Wireshark's FTP dissector makes the connection known before its first packet. The packet that then begins it is not
// new to the TCP dissector, and a SYN counts for tcp.completeness only in a packet that is: such connections never have
// the bit of the SYN.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "wire/address.h"
#include "wire/bytes.h"

namespace tcpwhy::compat::tshark {

struct Announcement {
  wire::SocketAddress at;                  // who listens
  wire::IpAddress from;                    // who connects
  std::optional<std::uint16_t> from_port;  // nothing: any
  bool operator==(const Announcement&) const = default;
};

// What one segment of a control connection announces. Only its first line is looked at.
std::optional<Announcement> read_announcement(const wire::SocketAddress& source, const wire::SocketAddress& destination,
                                              wire::Bytes payload);

class AnnouncedConnections {
 public:
  void add(const Announcement& announcement);
  // Whether a packet between these two begins an announced connection, which then is announced no longer.
  bool take(const wire::SocketAddress& source, const wire::SocketAddress& destination);

  static constexpr std::size_t most = 1024;  // the oldest are dropped

 private:
  std::deque<Announcement> waiting_;
};

}  // namespace tcpwhy::compat::tshark
