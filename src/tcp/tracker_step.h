// Private to the tracker: one segment on its way through it.
#pragma once

#include <limits>

#include "tcp/tracker.h"

namespace tcpwhy::tcp {

// When its sender sent it, against the newest segment of that sender.
enum class SendOrder : std::uint8_t { unknown, earlier, same_packet, later };

struct Tracker::Step {
  const Observed& seen;
  const wire::TcpSegment& segment;
  EndIndex sender, receiver;
  End& from;
  End& to;
  std::int64_t seq = 0, end = 0, ack = 0;  // widened; end: behind payload and FIN
  std::int64_t length = 0;                 // of sequence space
  bool moves_ack = false;                  // acknowledges something new
  bool same_window = false;                // as the sender's segment before
  bool new_sack = false;                   // tells of something received that was not told before
  bool only_again = false;                 // of nothing but that something came twice (RFC 2883)
  SendOrder order = SendOrder::unknown;
  Verdict verdict;

  [[nodiscard]] wire::TcpFlags flags() const { return segment.flags; }
  [[nodiscard]] std::int64_t at() const { return seen.at_ns; }
  [[nodiscard]] bool sent_before() const { return order == SendOrder::earlier || order == SendOrder::same_packet; }
};

// 64-bit place of `seq` next to what `end` has sent: sequence numbers are compared within half the circle (RFC 9293 3.4).
inline std::int64_t widen(const End& end, std::uint32_t seq) {
  return end.snd_nxt + static_cast<std::int32_t>(seq - (end.isn + static_cast<std::uint32_t>(end.snd_nxt)));
}

inline constexpr std::int64_t millisecond = 1'000'000;

// Nobody probes so soon after it sent something (RFC 9293 3.8.4: idle for two hours; TCP_KEEPIDLE and RTO_MIN of Linux are far longer): it is
// a copy, or was overtaken.
inline constexpr std::int64_t soonest_probe_ns = 5 * millisecond;

// Who numbers its packets by another rule than one by one has hardly sent more than so many in a moment.
inline constexpr int few_packets = 16;

// Whether the sender's IP ID counts its packets: Linux's does, one a packet of a connection.
inline bool ip_id_counts_packets(const End& end) { return end.ip_id_counts >= 3; }

// An IP ID that grew by less than this came from a counter.
inline constexpr int ip_id_stride = 2048;

// By how much its IP ID is greater than that of its sender's newest segment; they go round.
inline int ip_id_ahead(const End& from, const wire::TcpSegment& segment) {
  return static_cast<std::int16_t>(segment.ip_id - from.newest_ip_id);
}

// By its IP ID it left its sender behind the newest segment of that, and so many packets later at most.
inline bool is_numbered_behind(const End& from, const wire::TcpSegment& segment, int at_most) {
  const int ahead = ip_id_ahead(from, segment);
  return segment.ip_id != 0 && ip_id_counts_packets(from) && ahead > 0 && ahead <= at_most;
}

// Linux sends its answers to strays with IP ID 0, its own segments with a counter.
inline bool has_number_of_an_answer(const End& from, const wire::TcpSegment& segment) {
  return segment.ip_id == 0 && from.ip_id_counts > 0;
}

template <class T>
void count_up(T& counter) {
  if (counter < std::numeric_limits<T>::max()) ++counter;
}

inline void count_resend(End& end, const Observed& seen) {
  count_up(end.retransmissions);
  if (end.unanswered_resends == 0) {
    Trouble& trouble = end.make_trouble();
    trouble.unanswered_since_ns = seen.at_ns, trouble.unanswered_frame = seen.frame;
  }
  count_up(end.unanswered_resends);
}

// The sequence space of `end` begins here; without its SYN, its first byte seen is byte 1.
inline void base_on(End& end, std::uint32_t isn, std::int64_t next) {
  end.based = true;
  end.isn = isn;
  end.snd_nxt = end.snd_una = next;
}

// Of one that was open before the capture began: the first that is seen of it may be an old segment once more, before what is on its way.
inline bool may_be_from_before(const End& end) { return !end.syn_seen && end.data_segments <= 1; }

// Cuts [begin, until) out of the gaps. Returns how much of it had been missing; `first`: the first such gap, as it was.
std::int64_t fill_gaps(std::vector<Gap>& gaps, std::int64_t begin, std::int64_t until, Gap& first);
void open_gap(End& end, const Gap& gap);

}  // namespace tcpwhy::tcp
