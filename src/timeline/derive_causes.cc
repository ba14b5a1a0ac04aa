// What made each segment leave, by the rules of cause_rules(). The kernel's own word comes after (observe_causes.cc).
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <tuple>

#include "timeline/builder.h"
#include "timeline/holders.h"

namespace tcpwhy::timeline::steps {
namespace {

using namespace std::chrono_literals;
using calls::Effect;
using calls::Meaning;

// An answer leaves within the softirq that took the segment in: microseconds later. Timers are at least a tick of 1 ms apart
// from it (HZ = 1000) but for the delayed ACK of a FIN, which has a rule of its own.
constexpr base::Duration at_once = 1ms;
// The floor of the retransmission timeout, TCP_RTO_MIN.
constexpr base::Duration rto_min = 200ms;
// A process's last FIN or RST leaves while it exits; its end is known when it has been waited for.
constexpr base::Duration exit_takes = 100ms;
// Of processes that end within that time.
constexpr std::size_t ends_looked_at = 64;

bool sends(const Meaning& meaning) { return meaning.effect == Effect::sends; }
bool receives(const Meaning& meaning) { return meaning.effect == Effect::receives; }
bool connects(const Meaning& meaning) { return meaning.effect == Effect::connects; }
// By Fast Open a sending call sends the SYN (tcp(7), MSG_FASTOPEN, TCP_FASTOPEN_CONNECT).
bool sends_syn(const Meaning& meaning) { return connects(meaning) || sends(meaning); }
// A call of another program belongs to a connection only where it closed it.
bool closes(const Meaning& meaning) { return meaning.is_closing() && meaning.effect != Effect::none; }
bool shuts(const Meaning& meaning) { return meaning.effect == Effect::shuts; }
bool sets_option(const Meaning& meaning) { return meaning.effect == Effect::sets_option; }
bool sets_quickack(const Meaning& meaning) {
  return sets_option(meaning) && meaning.is_option(IPPROTO_TCP, TCP_QUICKACK);
}

// A segment that has arrived at the side in question.
struct Arrival {
  SegmentIndex segment;
  base::WallTime at;
};

// The calls of a connection that are in progress as time goes on; of many the latest.
class CallsInProgress {
 public:
  CallsInProgress(const Timeline& timeline, const Connection& connection)
      : timeline_(timeline), all_(connection.calls) {}

  // Times must not go back.
  void advance(base::WallTime to) {
    for (; next_ < all_.size() && timeline_.time_of(timeline_.calls[all_[next_]].entered) <= to; ++next_) {
      if (timeline_.calls[all_[next_]].descriptor_was_closed) continue;
      active_.push_back(all_[next_]);
      if (active_.size() >= 2 * most) forget(to);
    }
    forget(to);
  }
  // Innermost (latest entered) first.
  [[nodiscard]] std::vector<CallIndex> of(Side side) const {
    std::vector<CallIndex> calls;
    for (auto it = active_.rbegin(); it != active_.rend(); ++it)
      if (timeline_.calls[*it].side == side) calls.push_back(*it);
    return calls;
  }

 private:
  // No program has so many threads in calls on one socket at a time.
  static constexpr std::size_t most = 128;

  void forget(base::WallTime to) {
    std::erase_if(active_, [&](CallIndex call) { return timeline_.end_of(timeline_.calls[call]) < to; });
    if (active_.size() > most) active_.erase(active_.begin(), active_.end() - most);
  }

  const Timeline& timeline_;
  const std::vector<CallIndex>& all_;
  std::vector<CallIndex> active_;
  std::size_t next_ = 0;
};

// What has arrived at a side, occupies sequence space, and is not acknowledged yet.
class OwedArrivals {
 public:
  void add(const Arrival& arrival, wire::SequenceNumber end) {
    by_end_.emplace(widen(end), order_);
    by_order_.emplace(order_++, arrival);
  }
  void settle(wire::SequenceNumber acknowledged) {
    if (by_end_.empty()) return;
    const auto settled = by_end_.upper_bound(widen(acknowledged));
    for (auto it = by_end_.begin(); it != settled; ++it) by_order_.erase(it->second);
    by_end_.erase(by_end_.begin(), settled);
  }
  // The one that came first.
  [[nodiscard]] std::optional<Arrival> first() const {
    return by_order_.empty() ? std::nullopt : std::optional(by_order_.begin()->second);
  }

 private:
  // Numbers far apart on the circle are near one that came before.
  std::int64_t widen(wire::SequenceNumber number) {
    if (!latest_) latest_ = {number, 0};
    latest_ = {number, latest_->second + tcp::distance(latest_->first, number)};
    return latest_->second;
  }

  std::optional<std::pair<wire::SequenceNumber, std::int64_t>> latest_;
  std::multimap<std::int64_t, std::uint64_t> by_end_;
  std::map<std::uint64_t, Arrival> by_order_;
  std::uint64_t order_ = 0;
};

// Everything that is known about one side at the moment when a segment leaves it.
struct Situation {
  const Segment& segment;
  base::WallTime at;
  std::vector<CallIndex> calls;         // in progress, innermost (latest entered) first
  std::optional<Arrival> last_arrival;  // the latest
  std::optional<Arrival> owed;          // the earliest that this side owes an ACK
  std::optional<EventId> process_end;   // that its owner's process is about to have
  bool closed_before = true;            // a call that closes or shuts had been made; or what was called is not known
  bool owners_have_ended = false;       // all processes that ever made a call on it: nobody is left to make one
  base::Duration since_sent_before{};   // retransmissions: since the same sequence number left last
};

class CauseFinder {
 public:
  explicit CauseFinder(Timeline& timeline) : timeline_(timeline), recording_(*timeline.recording) {
    for (const Call& call : timeline_.calls) {
      if (!call.returned) continue;
      auto& last = last_return_[call.actor];
      last = std::max(last, timeline_.time_of(*call.returned));
    }
  }

  void run() {
    for (ConnectionIndex i = 0; i < timeline_.connections.size(); ++i) find_in(i);
  }

 private:
  struct SideState {
    std::optional<Arrival> last_arrival;
    OwedArrivals owed;
    std::optional<Holders> holders;
    std::optional<base::WallTime> owners_ended;    // when the last of them had
    std::optional<base::WallTime> closed;          // when the first call that closes or shuts was made
    bool calls_are_known = false;                  // some of them
    std::map<std::uint32_t, base::WallTime> sent;  // when the segment with this sequence number left last
  };

  // Departures and arrivals of one connection, in order of time.
  void find_in(ConnectionIndex index) {
    struct Step {
      EventId event;
      bool departs;
      SegmentIndex segment;
    };
    std::vector<Step> steps;
    for (const SegmentIndex s : timeline_.connections[index].segments) {
      steps.push_back({timeline_.segments[s].departed, true, s});
      if (timeline_.segments[s].arrived) steps.push_back({*timeline_.segments[s].arrived, false, s});
    }
    // With one tap a segment departs and arrives in one event, in this order.
    std::ranges::sort(steps, {}, [](const Step& step) { return std::tuple(step.event, !step.departs, step.segment); });
    PerSide<SideState> sides;
    for (const Side side : {opener, listener}) {
      sides[side].holders.emplace(timeline_, index, side);
      sides[side].owners_ended = owners_ended(timeline_.connections[index].sides[side]);
    }
    for (const CallIndex c : timeline_.connections[index].calls) {
      const Call& call = timeline_.calls[c];
      SideState& side = sides[call.side];
      side.calls_are_known = true;
      const base::WallTime at = timeline_.time_of(call.entered);
      if (closes(call.meaning) || shuts(call.meaning)) side.closed = std::min(side.closed.value_or(at), at);
    }
    CallsInProgress calls(timeline_, timeline_.connections[index]);
    for (const Step& step : steps) {
      Segment& segment = timeline_.segments[step.segment];
      if (step.departs) {
        calls.advance(timeline_.time_of(step.event));
        segment.cause = derive(situation_of(step.segment, sides[segment.from], calls));
        if (segment.tcp.flags.ack()) sides[segment.from].owed.settle(segment.tcp.ack);
        if (segment.tcp.sequence_length() > 0)
          sides[segment.from].sent[segment.tcp.seq.value] = timeline_.time_of(step.event);
      } else {
        auto& side = sides[timeline_.connections[index].receiver_from(segment.from)];
        const Arrival arrival{step.segment, timeline_.time_of(step.event)};
        side.last_arrival = arrival;
        if (segment.tcp.sequence_length() > 0 && !segment.tcp.flags.rst())
          side.owed.add(arrival, tcp::advance(segment.tcp.seq, segment.tcp.sequence_length()));
      }
    }
  }

  Situation situation_of(SegmentIndex index, const SideState& side, const CallsInProgress& calls) const {
    const Segment& segment = timeline_.segments[index];
    Situation now{.segment = segment, .at = timeline_.time_of(segment.departed)};
    now.calls = calls.of(segment.from);
    now.last_arrival = side.last_arrival;
    now.owed = side.owed.first();
    if (segment.tcp.flags.fin() || segment.tcp.flags.rst()) now.process_end = process_end_after(*side.holders, now.at);
    now.closed_before = !side.calls_are_known || (side.closed && *side.closed <= now.at);
    now.owners_have_ended = side.owners_ended && *side.owners_ended < now.at;
    if (segment.segment_class == tcp::SegmentClass::retransmission)
      if (const auto before = side.sent.find(segment.tcp.seq.value); before != side.sent.end())
        now.since_sent_before = now.at - before->second;
    return now;
  }

  // Nothing: one of them goes on, or there is none that is known.
  std::optional<base::WallTime> owners_ended(const ConnectionSide& side) const {
    std::optional<base::WallTime> last;
    for (const ActorId actor : side.actors) {
      const auto ends = timeline_.lookups.ends_of_process.of(timeline_.lookups.process_of(actor));
      if (ends.empty()) return std::nullopt;
      last = std::max(last.value_or(base::WallTime::min()), recording_[ends.back().value].at);
    }
    return last;
  }

  // The end of a holder's process that explains what left at `at`: none of its calls returned after that.
  std::optional<EventId> process_end_after(const Holders& holders, base::WallTime at) const {
    const auto& ends = timeline_.all<recording::ProcessEnded>();
    const auto first = std::ranges::lower_bound(ends, at, {}, [&](EventId id) { return recording_[id].at; });
    std::size_t looked_at = 0;
    for (auto end = first; end != ends.end() && recording_[*end].at - at <= exit_takes && looked_at < ends_looked_at;
         ++end, ++looked_at) {
      const auto actor = recording_[*end].actor;
      const auto came_back = last_return_.find(actor);
      if ((came_back == last_return_.end() || came_back->second <= at) &&
          holders.may_hold(timeline_.lookups.process_of(actor), at))
        return *end;
    }
    return std::nullopt;
  }

  // --- The rules -----------------------------------------------------------------------------------------------

  Cause derive(const Situation& now) const {
    switch (now.segment.segment_class) {
      case tcp::SegmentClass::syn: return cause_of_syn(now);
      case tcp::SegmentClass::syn_ack: return answer(now, "syn_ack.answers_syn");
      case tcp::SegmentClass::data: return cause_of_data(now);
      case tcp::SegmentClass::fin: return cause_of_fin(now);
      case tcp::SegmentClass::reset: return cause_of_reset(now);
      case tcp::SegmentClass::retransmission: return cause_of_retransmission(now);
      case tcp::SegmentClass::keep_alive: return cause_of_probe(now);
      case tcp::SegmentClass::ack: return cause_of_ack(now);
    }
    return {};
  }

  template <class Wanted>
  const Call* in_progress(const Situation& now, Wanted&& wanted) const {
    for (const CallIndex c : now.calls)
      if (wanted(timeline_.calls[c].meaning)) return &timeline_.calls[c];
    return nullptr;
  }

  static Cause by_call(const Call& call, std::string_view rule) {
    return {Trigger::call, Timer::none, call.entered, Grade::derived, rule, {}, {}};
  }

  Cause answer(const Situation& now, std::string_view rule) const {
    if (!now.last_arrival) return {};
    return {Trigger::segment, Timer::none, arrival_event(*now.last_arrival), Grade::derived, rule, {}, {}};
  }

  [[nodiscard]] EventId arrival_event(const Arrival& arrival) const {
    return *timeline_.segments[arrival.segment].arrived;
  }

  static Cause by_process_end(const Situation& now, std::string_view rule) {
    return {Trigger::process_end, Timer::none, now.process_end, Grade::derived, rule, {}, {}};
  }

  static bool just_arrived(const Situation& now) { return now.last_arrival && now.at - now.last_arrival->at < at_once; }

  Cause cause_of_syn(const Situation& now) const {
    if (const Call* call = in_progress(now, sends_syn)) return by_call(*call, "syn.connect");
    return {};
  }

  Cause cause_of_data(const Situation& now) const {
    if (const Call* call = in_progress(now, sends)) return by_call(*call, "data.send");
    if (const Call* call = in_progress(now, sets_option)) return by_call(*call, "data.option_released");
    if (now.segment.tcp.flags.fin())
      if (const Call* call = in_progress(now, closes)) return by_call(*call, "fin.close");
    // RFC 9293 3.7.4: "buffers all user data (regardless of the PSH bit) until the outstanding data has been
    // acknowledged"
    if (just_arrived(now)) return answer(now, "data.released_by_ack");
    return cause_without_owners(now, "data.released_by_ack");
  }

  // Of what was queued before all that could make a call had ended: an acknowledgment released it, however long the softirq took (on a
  // machine that is not let run, more than `at_once`), or else a timer, which a counter tells.
  Cause cause_without_owners(const Situation& now, std::string_view rule) const {
    if (!now.owners_have_ended || !now.last_arrival || now.at - now.last_arrival->at >= rto_min ||
        !timeline_.segments[now.last_arrival->segment].tcp.flags.ack())
      return {};
    Cause cause = answer(now, rule);
    if (timeline_.all<recording::CounterMoved>().empty() || add_counter(cause, now, "TcpExt.TCPLossProbes") ||
        add_counter(cause, now, "TcpExt.TCPWinProbe")) {
      cause.grade = Grade::assumed;
      cause.or_else = "a timer of the sender's: a loss probe, or one of the window";
    }
    return cause;
  }

  Cause cause_of_fin(const Situation& now) const {
    if (const Call* call = in_progress(now, closes)) return by_call(*call, "fin.close");
    if (const Call* call = in_progress(now, shuts)) return by_call(*call, "fin.shutdown");
    if (now.process_end) return by_process_end(now, "fin.process_end");
    if (just_arrived(now) && (now.closed_before || now.owners_have_ended)) return answer(now, "fin.released_by_ack");
    return cause_without_owners(now, "fin.released_by_ack");
  }

  // RFC 9293 3.10.7.1: "If the ACK bit is off, sequence number zero is used, <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>
  // If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>"
  [[nodiscard]] bool answers(const wire::TcpSegment& reset, const wire::TcpSegment& provoking) const {
    if (provoking.flags.ack()) return !reset.flags.ack() && reset.seq == provoking.ack;
    return reset.flags.ack() && reset.seq.value == 0 &&
           reset.ack == tcp::advance(provoking.seq, provoking.sequence_length());
  }

  Cause cause_of_reset(const Situation& now) const {
    const auto& reset = now.segment.tcp;
    if (now.last_arrival && answers(reset, timeline_.segments[now.last_arrival->segment].tcp))
      return answer(now, "rst.answers_segment");
    if (const Call* call = in_progress(now, closes)) return by_call(*call, "rst.active_close");
    // A call that the process's end cut short is in progress still.
    if (now.process_end) return by_process_end(now, "rst.process_end");
    if (const Call* call = in_progress(now, connects)) return by_call(*call, "rst.active_call");
    return {};
  }

  Cause cause_of_ack(const Situation& now) const {
    if (const Call* call = in_progress(now, sets_quickack)) return by_call(*call, "ack.quickack_set");
    if (!now.last_arrival) return {};
    const Segment& last = timeline_.segments[now.last_arrival->segment];
    if (last.tcp.flags.syn() && just_arrived(now)) return answer(now, "ack.completes_handshake");
    // RFC 9293 3.10.7.4, first: "If an incoming segment is not acceptable, an acknowledgment should be sent in reply"
    if ((last.received.duplicate || !last.received.acceptable || last.segment_class == tcp::SegmentClass::keep_alive) &&
        just_arrived(now))
      return answer(now, "ack.of_duplicate");
    if (now.owed) return cause_of_owed_ack(now);
    if (const Call* call = in_progress(now, receives)) return by_call(*call, "ack.reader_made_room");
    if (just_arrived(now)) return answer(now, "ack.answers_segment");
    return {};
  }

  Cause cause_of_owed_ack(const Situation& now) const {
    const Segment& last = timeline_.segments[now.last_arrival->segment];
    const auto& change = last.receiver_change;
    if (last.tcp.flags.fin() && change) {
      // RFC 9293 3.10.7.4, eighth: "advance RCV.NXT over the FIN, and send an acknowledgment for the FIN" Linux
      // delays it where the receiver may still answer with data of its own: tcp_fin().
      if (change->to != tcp::State::close_wait) return answer(now, "ack.of_fin_is_immediate");
      return delayed(now, "ack.of_fin_is_delayed");
    }
    // RFC 9293 3.8.6.3: "An ACK SHOULD be generated for at least every second full-sized segment" The others wait for
    // the timer.
    if (just_arrived(now)) return answer(now, "ack.of_data_is_immediate");
    // A reader that was handed bytes may have sent it on its way out: then the call, not the timer, made it leave.
    if (const Call* call = in_progress(now, receives)) {
      const auto* returned = timeline_.returned(*call);
      if (returned != nullptr && returned->result > 0) return by_call(*call, "ack.reader_made_room");
    }
    return delayed(now, "ack.of_data_is_delayed");
  }

  // The timer was started by the first segment that is still owed an ACK: tcp_send_delayed_ack() keeps the earlier timeout.
  Cause delayed(const Situation& now, std::string_view rule) const {
    Cause cause{Trigger::timer, Timer::delayed_ack, arrival_event(*now.owed), Grade::derived, rule, {}, {}};
    add_counter(cause, now, "TcpExt.DelayedACKs");
    return cause;
  }

  Cause cause_of_probe(const Situation& now) const {
    // RFC 9293 3.8.4: "Keep-alive packets MUST only be sent when no sent data is outstanding" Into a shut window
    // Linux sends the same segment as a probe of it.
    const bool window_shut = now.last_arrival && timeline_.segments[now.last_arrival->segment].tcp.window == 0;
    return {Trigger::timer,
            window_shut ? Timer::zero_window_probe : Timer::keep_alive,
            std::nullopt,
            Grade::derived,
            window_shut ? "probe.zero_window" : "probe.keep_alive",
            {},
            {}};
  }

  Cause cause_of_retransmission(const Situation& now) const {
    // RFC 9293 3.10.8: "send the segment at the front of the retransmission queue again, reinitialize the
    // retransmission timer"
    Cause cause{Trigger::timer, Timer::retransmission, std::nullopt, Grade::derived, "again.timeout", {}, {}};
    const auto& flags = now.segment.tcp.flags;
    if (flags.syn()) {
      cause.timer = flags.ack() ? Timer::syn_ack : Timer::retransmission;
      cause.rule = flags.ack() ? "again.syn_ack_timer" : "again.syn_timer";
      return cause;
    }
    if (add_counter(cause, now, "TcpExt.TCPLossProbes")) {
      cause.timer = Timer::tail_loss_probe;
      cause.rule = "again.tail_loss_probe";
      return cause;
    }
    if (add_counter(cause, now, "TcpExt.TCPTimeouts")) return cause;
    if (just_arrived(now) && !timeline_.segments[now.last_arrival->segment].received.advances)
      return answer(now, "again.duplicate_acks");
    cause.grade = Grade::assumed;
    if (now.since_sent_before < rto_min) {
      cause.timer = Timer::tail_loss_probe;
      cause.rule = "again.tail_loss_probe";
      cause.or_else = "duplicate acknowledgments that were not captured";
    } else {
      cause.or_else = "a tail loss probe over a long path";
    }
    return cause;
  }

  // Adds the counter's move that covers this moment to the evidence.
  bool add_counter(Cause& cause, const Situation& now, std::string_view counter) const {
    const auto& host = timeline_.connections[now.segment.connection].sides[now.segment.from].host;
    const auto moved = timeline_.lookups.counter_covering({counter, host}, now.at, recording_);
    if (moved) cause.evidence.push_back(*moved);
    return moved.has_value();
  }

  Timeline& timeline_;
  const recording::Recording& recording_;
  std::map<ActorId, base::WallTime> last_return_;
};

}  // namespace

void derive_causes(Timeline& timeline) { CauseFinder(timeline).run(); }

}  // namespace tcpwhy::timeline::steps
