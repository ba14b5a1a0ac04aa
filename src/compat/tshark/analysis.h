// What tshark 4.0 says of a TCP segment (tcp.analysis.*), from the segments of its connection so far.
//
// Wireshark's observer knows neither end's state. It keeps, for each direction, the furthest sequence number, the last
// acknowledgment and window, and a list of what has not been acknowledged; each verdict is one rule over these. The rules
// here have the names of its fields. Where its arithmetic has a quirk (0 means "nothing seen", a difference of times that
// went backwards is huge), ours has it too: equal output is the purpose of this file. Checked against tshark 4.0.17.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace tcpwhy::compat::tshark {

enum class Verdict : std::uint32_t {
  retransmission = 1U << 0U,
  fast_retransmission = 1U << 1U,
  spurious_retransmission = 1U << 2U,
  out_of_order = 1U << 3U,
  reused_ports = 1U << 4U,
  lost_segment = 1U << 5U,
  ack_lost_segment = 1U << 6U,
  window_update = 1U << 7U,
  window_full = 1U << 8U,
  keep_alive = 1U << 9U,
  keep_alive_ack = 1U << 10U,
  duplicate_ack = 1U << 11U,
  zero_window = 1U << 12U,
  zero_window_probe = 1U << 13U,
  zero_window_probe_ack = 1U << 14U,
};

class Verdicts {
 public:
  void add(Verdict verdict) { bits_ |= static_cast<std::uint32_t>(verdict); }
  [[nodiscard]] bool has(Verdict verdict) const { return (bits_ & static_cast<std::uint32_t>(verdict)) != 0; }
  [[nodiscard]] bool any() const { return bits_ != 0; }
  bool operator==(const Verdicts&) const = default;

 private:
  std::uint32_t bits_ = 0;
};

// What the analysis reads of a segment. Times are nanoseconds since 1970.
struct Segment {
  std::uint64_t frame = 0;
  std::int64_t at_ns = 0;
  std::uint32_t seq = 0, ack = 0;  // ack as it stands in the header, with or without the ACK flag
  std::uint16_t flags = 0;
  std::uint32_t window = 0;  // not scaled
  std::uint32_t length = 0;  // bytes of payload by the IP header

  [[nodiscard]] bool syn() const { return flags & 0x02U; }
  [[nodiscard]] bool fin() const { return flags & 0x01U; }
  [[nodiscard]] bool rst() const { return flags & 0x04U; }
  [[nodiscard]] bool psh() const { return flags & 0x08U; }
  [[nodiscard]] bool ack_set() const { return flags & 0x10U; }
  [[nodiscard]] bool opens_or_ends() const { return flags & 0x07U; }  // SYN, FIN or RST
};

// A segment that occupies sequence space and of which not all has been acknowledged.
struct Unacknowledged {
  std::uint64_t frame = 0;
  std::int64_t at_ns = 0;
  std::uint32_t seq = 0, next_seq = 0;
};

// What is known of one direction of a connection.
struct Flow {
  std::optional<std::uint32_t> base_seq;  // relative sequence numbers count from here
  std::uint32_t window = 0xffff'ffff;     // of its last segment, not scaled
  std::int8_t window_scale = scale_unknown;
  bool awaits_first_ack = false;  // its SYN was the last seen: the window in it is not scaled
  bool counts_in_flight = true;   // no hole since the other direction last acknowledged
  bool last_was_pushed = false;   // PSH on its last segment with data
  std::uint8_t multipath_operations = 0;
  std::uint32_t bytes_since_push = 0;
  Verdicts last_verdicts;

  // 0: nothing seen yet.
  std::uint32_t next_seq = 0;  // the furthest
  std::uint32_t next_seq_frame = 0;
  std::int64_t next_seq_at_ns = 0;
  std::uint32_t contiguous_end = 0;  // the end of what was seen without a hole
  std::uint32_t last_ack = 0;
  std::int64_t last_ack_at_ns = 0;
  std::uint32_t first_of_ack_frame = 0;  // the frame that first carried last_ack
  std::uint32_t duplicate_acks = 0;      // or told_unseen
  std::uint32_t selectively_acked = 0;   // bytes in the SACK blocks of its last segment

  // The other end acknowledged something unseen, and that was told. Being the largest number, it also counts as many
  // duplicates where a fast retransmission is looked for.
  static constexpr std::uint32_t told_unseen = 0xffff'ffff;
  static constexpr std::int8_t scale_unknown = -1, scale_unused = -2;

  std::vector<Unacknowledged> unacknowledged;  // oldest first, never more than most_unacknowledged
  static constexpr std::size_t most_unacknowledged = 10'000;
  // The first and last number in it, relative to base_seq; nothing where it has to be looked for.
  struct Extent {
    std::uint32_t first = 0, last = 0;
  };
  std::optional<Extent> extent;
};

// What is printed of one segment. Nothing at all is printed where nothing was found.
struct Findings {
  bool found = false;
  Verdicts verdicts;
  std::optional<std::uint64_t> acks_frame;
  std::int64_t ack_rtt_ns = 0;
  std::uint32_t bytes_in_flight = 0, push_bytes_sent = 0;
  std::int64_t rto_ns = 0;
  std::uint64_t rto_frame = 0;
  std::uint32_t duplicate_ack_number = 0;
  std::uint64_t duplicate_ack_frame = 0;

  void add(Verdict verdict) {
    verdicts.add(verdict);
    found = true;
  }
};

// What of the whole connection a verdict depends on.
struct Context {
  std::int64_t initial_rtt_ns = 0;                   // 0: unknown
  std::optional<std::uint8_t> multipath_operations;  // the kinds of MPTCP option seen; nothing without MPTCP
};

// Judges `segment`, which `sender` sent to `receiver`, and takes note of it in both. `findings` may hold verdicts already.
void analyze(const Segment& segment, const Context& context, Flow& sender, Flow& receiver, Findings& findings);

}  // namespace tcpwhy::compat::tshark
