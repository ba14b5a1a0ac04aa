// A TCP segment and what carries it, as values in host byte order: the strict representation of meaning.
// The lenient view of bytes, for printing what is cut or malformed, stands in wire/packet.h.
#pragma once

#include <fmt/format.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "wire/address.h"

namespace tcpwhy::wire {

// A sequence number lives on a circle of 2^32 (RFC 9293 3.4): equality only. Order and distance stand in tcp/sequence.h.
struct SequenceNumber {
  std::uint32_t value = 0;
  bool operator==(const SequenceNumber&) const = default;
};

// The control bits, RFC 9293 3.1, with RFC 3168 (ECE, CWR) and accurate ECN's AE (the former NS).
struct TcpFlags {
  static constexpr std::uint16_t fin_bit = 0x001, syn_bit = 0x002, rst_bit = 0x004, psh_bit = 0x008, ack_bit = 0x010,
                                 urg_bit = 0x020, ece_bit = 0x040, cwr_bit = 0x080, ae_bit = 0x100;
  std::uint16_t bits = 0;

  [[nodiscard]] bool fin() const { return bits & fin_bit; }
  [[nodiscard]] bool syn() const { return bits & syn_bit; }
  [[nodiscard]] bool rst() const { return bits & rst_bit; }
  [[nodiscard]] bool psh() const { return bits & psh_bit; }
  [[nodiscard]] bool ack() const { return bits & ack_bit; }
  [[nodiscard]] bool urg() const { return bits & urg_bit; }
  // to_string() backwards, the letters in any order; nothing for what is not spelt so.
  static std::optional<TcpFlags> parse(std::string_view text);
  auto operator<=>(const TcpFlags&) const = default;
};

// As tcpdump prints them between the brackets: "S", "S.", "P.", "F.", "R", ".", "none".
std::string to_string(TcpFlags flags);

struct SackBlock {
  SequenceNumber left, right;
  bool operator==(const SackBlock&) const = default;
};

struct TcpTimestamps {
  std::uint32_t value = 0, echo_reply = 0;
  bool operator==(const TcpTimestamps&) const = default;
};

// The options that decide what a connection does; every other kind is only counted.
struct TcpOptions {
  std::optional<std::uint16_t> maximum_segment_size;  // kind 2, bytes
  std::optional<std::uint8_t> window_scale;           // kind 3, shift count as sent (may exceed 14)
  bool sack_permitted = false;                        // kind 4
  std::array<SackBlock, 4> sack_storage{};            // kind 5
  std::uint8_t sack_count = 0;
  std::optional<TcpTimestamps> timestamps;              // kind 8
  std::optional<std::uint8_t> fast_open_cookie_length;  // kind 34; 0 is a request for a cookie
  bool md5_signature = false;                           // kind 19
  bool multipath = false;                               // kind 30
  bool malformed = false;                               // the option list did not parse to its end
  bool cut = false;                                     // the capture ends inside the list: others may have followed

  [[nodiscard]] std::span<const SackBlock> sack() const { return {sack_storage.data(), sack_count}; }
  bool operator==(const TcpOptions&) const = default;
};

struct TcpSegment {
  SocketAddress source, destination;
  SequenceNumber seq, ack;  // ack is meaningful only if flags.ack()
  TcpFlags flags;
  std::uint16_t window = 0;  // as sent, not scaled
  std::uint16_t urgent_pointer = 0;
  TcpOptions options;
  std::uint32_t payload_length = 0;       // by the IP header, even where the capture cut it
  std::span<const std::uint8_t> payload;  // what was captured of it; points into the packet's bytes
  std::uint16_t ip_id = 0;                // IPv4 only
  std::uint8_t ttl = 0;                   // or IPv6 hop limit
  std::uint8_t ecn = 0;                   // the two ECN bits of the IP header

  // SEG.LEN: the sequence space it occupies, SYN and FIN included (RFC 9293 3.4).
  [[nodiscard]] std::uint32_t sequence_length() const {
    return payload_length + (flags.syn() ? 1U : 0U) + (flags.fin() ? 1U : 0U);
  }
};

}  // namespace tcpwhy::wire

template <>
struct fmt::formatter<tcpwhy::wire::TcpFlags> : formatter<std::string> {
  auto format(tcpwhy::wire::TcpFlags flags, format_context& context) const {
    return formatter<std::string>::format(to_string(flags), context);
  }
};
