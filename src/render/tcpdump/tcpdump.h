// The view `-o tcpdump`: packets as the lines that `tcpdump -n` prints.
//
// For TCP over IPv4 and IPv6 a line equals tcpdump's (4.99.3, of Debian 12) byte for byte up to `length N`; what tcpdump
// appends of application protocols is left out. That holds for cut and malformed packets, fragments, extension headers,
// and for what tcpdump unwraps on the way: every link type of which it prints TCP (wire/link_types.cc), VLAN tags, MPLS, PPP, PPPoE,
// LLC/SNAP, IP in IP, GRE, AH, VXLAN. The few differences that remain are listed in render/tcpdump/tolerated.md. A packet
// that is not TCP gets a plain line of our own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/clock.h"
#include "wire/packet.h"

namespace tcpwhy::render {

// tcpdump(1): how each line begins. In local time, as tcpdump (localtime_r: the environment's TZ).
enum class TcpdumpTime : std::uint8_t {
  time_of_day,     // 22:13:20.999999
  none,            // -t
  epoch,           // -tt     1700000000.999999
  since_previous,  // -ttt     00:00:00.000006, or -00:00:00.000006 where time goes back
  date_and_time,   // -tttt   2023-11-14 22:13:20.999999
  since_first,     // -ttttt
};

struct TcpdumpOptions {
  bool absolute_sequence_numbers = false;  // -S
  bool link_header = false;                // -e
  TcpdumpTime time = TcpdumpTime::time_of_day;
  bool nanoseconds = false;  // --nano; without it stamps are cut to microseconds, those of finer files too
  // The name of an interface index, for "Linux cooked v2" captures; empty for an unknown one. Without it all are unknown ("?").
  // tcpdump asks the machine it runs on: if_indextoname(3).
  std::function<std::string(std::uint32_t)> interface_name;
  // A pair of ends beyond this many empties the table from which relative sequence numbers come.
  std::size_t most_conversations = 4'000'000;
};

struct TcpdumpPacket {
  wire::LinkType link_type = wire::LinkType::ethernet;
  std::span<const std::uint8_t> captured;
  std::size_t original_length = 0;
  base::WallTime at;
};

struct TcpdumpLine {
  std::string
      text;  // no newline at its end; VXLAN has one before the inner packet, as tcpdump. Holds no control character else.
  bool is_tcp = false;  // TCP, by the IP header or that of a tunnel, stands in it: equal to tcpdump's line
};

class TcpdumpPrinter {
 public:
  explicit TcpdumpPrinter(TcpdumpOptions options);
  TcpdumpPrinter(TcpdumpPrinter&&) noexcept;
  TcpdumpPrinter& operator=(TcpdumpPrinter&&) noexcept;
  ~TcpdumpPrinter();

  // Packets in the order of the capture: relative sequence numbers and times follow from those before.
  TcpdumpLine print(const TcpdumpPacket& packet);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tcpwhy::render
