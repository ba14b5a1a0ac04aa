// One end of a connection as an outsider sees it: fed the segments that leave it and the segments that reach it, it knows the
// state, what was sent and acknowledged, and what each segment is to it. Pure: no clock, no I/O.
//
// On loopback, and for a tap in the middle, a segment leaves and arrives in one event: on_send() at one end, on_receive() at the
// other. With a tap at each end the two are apart in time, and so are the two ends' state changes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tcp/sequence.h"
#include "tcp/state.h"
#include "wire/segment.h"

namespace tcpwhy::tcp {

// What a segment is, seen from its sender.
enum class SegmentClass : std::uint8_t {
  syn,
  syn_ack,
  data,            // new payload; may carry FIN
  fin,             // FIN without payload, the first time
  ack,             // nothing but an acknowledgment (or window update)
  retransmission,  // sequence space that was sent before (SYN, data or FIN)
  keep_alive,      // one byte or none below SND.NXT - tcp_xmit_probe_skb() - while nothing is outstanding
  reset,
};
std::string_view name(SegmentClass segment_class);

struct StateChange {
  State from, to;
  const Transition* why;
};

// What on_send() found out.
struct Sent {
  SegmentClass segment_class = SegmentClass::ack;
  std::optional<StateChange> change;
};

// What on_receive() found out.
struct Received {
  std::optional<StateChange> change;
  bool acceptable = true;         // RFC 9293 3.10.7.4, first: the sequence number test, where the window is known
  bool duplicate = false;         // occupies sequence space, all of which had arrived before
  bool advances = false;          // moved RCV.NXT
  bool acks_fin = false;          // acknowledges this end's FIN for the first time
  std::uint32_t newly_acked = 0;  // sequence space of ours that it acknowledges for the first time
};

class Endpoint {
 public:
  Endpoint() = default;
  explicit Endpoint(State initial) : state_(initial) {}

  Sent on_send(const wire::TcpSegment& segment);
  Received on_receive(const wire::TcpSegment& segment);
  // Moves that the wire does not show (listens, forgets).
  std::optional<StateChange> apply(Stimulus stimulus);

  [[nodiscard]] State state() const { return state_; }
  // ISS and IRS of RFC 9293 3.3.1; the first sequence number seen where the SYN was not.
  [[nodiscard]] std::optional<SequenceNumber> iss() const { return iss_; }
  [[nodiscard]] std::optional<SequenceNumber> irs() const { return irs_; }
  [[nodiscard]] std::optional<SequenceNumber> snd_una() const { return snd_una_; }
  [[nodiscard]] std::optional<SequenceNumber> snd_nxt() const { return snd_nxt_; }
  [[nodiscard]] std::optional<SequenceNumber> rcv_nxt() const { return rcv_nxt_; }
  [[nodiscard]] bool fin_sent() const { return fin_sent_.has_value(); }
  [[nodiscard]] bool fin_received() const { return fin_received_; }
  [[nodiscard]] bool fin_acked() const { return fin_acked_; }
  // Has sent something that is not acknowledged.
  [[nodiscard]] bool has_outstanding() const { return snd_una_ && snd_nxt_ && before(*snd_una_, *snd_nxt_); }

 private:
  struct Range {
    SequenceNumber first, end;
    bool fin_at_end;
  };
  SegmentClass classify_sent(const wire::TcpSegment& segment) const;
  bool receive_text(const wire::TcpSegment& segment, Received& received);
  void absorb_queued(bool& got_fin);
  std::optional<StateChange> on_reset(const wire::TcpSegment& segment, Received& received);

  State state_ = State::not_seen;
  std::optional<SequenceNumber> iss_, irs_, snd_una_, snd_nxt_, rcv_nxt_;
  std::optional<SequenceNumber> fin_sent_;  // sequence number of our FIN
  std::optional<SequenceNumber> last_ack_sent_;
  bool fin_received_ = false, fin_acked_ = false, syn_acked_ = false;
  std::vector<Range> out_of_order_;  // bounded: see max_out_of_order
};

}  // namespace tcpwhy::tcp
