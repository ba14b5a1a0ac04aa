// Data, content gaps, and when a connection is over.
#include <algorithm>

#include "compat/zeek/connection.h"

namespace tcpwhy::compat::zeek {
namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t close_delay = 5 * second;     // tcp_close_delay
constexpr std::int64_t check_interval = 6 * second;  // tcp_session_timer
constexpr std::int64_t linger = 5 * second;          // tcp_connection_linger

}  // namespace

// --- data --------------------------------------------------------------------------------------------------------

Stream::Sender Connection::describe(const End& end) const {
  return {.no_data_acked = end.space.no_data_acked(), .size = size(end), .partial = partial_};
}

// A gap counts only where both ends were properly open: elsewhere numbers are not to be trusted.
void Connection::report(End& sender, const Stream::Gaps& gaps) {
  const auto properly_open = [](const End& end) {
    return end.state == State::established || (end.state == State::closed && end.state_before == State::established);
  };
  if (!properly_open(ends_[0]) || !properly_open(ends_[1])) return;
  for (const std::uint64_t length : gaps) {
    note_scaled(sender, 'G', sender.gaps);
    missed_bytes_ += length;
  }
}

void Connection::acknowledge(End& acknowledged, std::uint64_t ack) {
  if (acknowledged.fins > 0 && ack >= acknowledged.fin_at) ack = acknowledged.fin_at - 1;
  if (ack <= acknowledged.stream.acknowledged()) return;
  Stream::Gaps gaps;
  acknowledged.stream.acknowledge(ack, describe(acknowledged), gaps);
  report(acknowledged, gaps);
  check_end_of_data(acknowledged);
}

void Connection::take_data(const Packet& packet, End& sender, std::uint64_t seq) {
  if (!packet.captured_whole()) return;  // what was cut off will be missing when it is acknowledged
  Stream::Gaps gaps;
  sender.stream.take(seq, packet.length, describe(sender), gaps);
  report(sender, gaps);
  if (ftp_ == nullptr || !is_originator(sender)) return;
  if (ftp_->take(seq, packet.payload.first(packet.length)) && !limit_noted_) {
    limit_noted_ = true;
    note('X');
  }
}

bool Connection::has_pending_data(const End& end) const {
  if (end.stream.given_up()) return false;
  const std::uint64_t delivered = end.space.unsigned_start() + end.stream.delivered();
  const std::uint64_t last = end.space.full_last();
  if (last < delivered) return false;
  if (delivered != last && delivered != last - 1) return true;  // a FIN takes one number, an RST none
  return end.state != State::reset && other(end).stream.waits_for_ack();
}

// --- ends --------------------------------------------------------------------------------------------------------

void Connection::check_end_of_data(End& end) {
  const bool closed = end.fins > 0 || end.state == State::closed || end.state == State::reset;
  if (end.reached_end || !closed || has_pending_data(end)) return;
  end.reached_end = true;
  if (!close_deferred_) return;
  close(end, deferred_is_worth_telling_);
  close_deferred_ = false;
}

void Connection::close(End& closing, bool worth_telling) {
  if (has_pending_data(closing)) {
    close_deferred_ = true;
    deferred_is_worth_telling_ = deferred_is_worth_telling_ || worth_telling;
    return;
  }
  close_deferred_ = false;
  if (closing.did_close) return;
  closing.did_close = true;
  const End& peer = other(closing);
  if (closing.state == State::reset || peer.did_close || peer.state == State::inactive) {
    finish_closing(closing, worth_telling);
  } else if (closing.state_before != State::inactive) {
    start_timer(TimerKind::check, last_us_ + check_interval);
  }
}

// Nothing more is expected: the line is written soon.
void Connection::finish_closing(End& closing, bool worth_telling) {
  if (closing.state_before != State::inactive || other(closing).state != State::inactive) {
    worth_telling = worth_telling || deferred_is_worth_telling_;
    deferred_is_worth_telling_ = false;
    if (worth_telling) active_ = false;
  }
  cancel_timers(false);
  start_timer(TimerKind::forget, last_us_ + close_delay);
}

// --- timers ------------------------------------------------------------------------------------------------------

void Connection::start_timer(TimerKind kind, std::int64_t at_us) {
  timers_.push_back(surroundings_->timers.add(at_us, {this, kind}));
}

void Connection::cancel_timers(bool also_inactivity) {
  std::erase_if(timers_, [&](Timers::Handle timer) {
    if (timer->second.kind == TimerKind::inactivity && !also_inactivity) return false;
    surroundings_->timers.cancel(timer);
    return true;
  });
}

bool Connection::ends_by(Timers::Handle timer) {
  const TimerKind kind = timer->second.kind;
  std::erase(timers_, timer);
  surroundings_->timers.cancel(timer);
  const std::int64_t now = surroundings_->now_us;
  switch (kind) {
    case TimerKind::forget: return true;
    case TimerKind::reset: return active_;
    case TimerKind::attempt:
      return active_ && responder().state == State::inactive &&
             (originator().state == State::syn_sent || originator().state == State::syn_ack_sent);
    case TimerKind::inactivity:
      if (end_of_silence_us() <= now) return true;
      start_timer(TimerKind::inactivity, end_of_silence_us());
      return false;
    case TimerKind::check:
      if (!active_) return false;
      if (has_died(now)) return true;
      start_timer(TimerKind::check, now + check_interval);
      return false;
  }
  return false;
}

// When the connection has been silent for longer than is allowed. (Zeek, exact to the microsecond, also ends one that has
// been silent for exactly as long, unless other timers keep it busy: its own row of a packet after 300.000000 s is of one
// connection.)
std::int64_t Connection::end_of_silence_us() const { return last_us_ + silence_allowed_us_ + 1; }

// Silent for a while, and closed as far as can be told, or nothing ever came of it.
bool Connection::has_died(std::int64_t now_us) const {
  if (last_us_ + linger >= now_us) return false;
  const auto either_is = [this](State state) { return ends_[0].state == state || ends_[1].state == state; };
  if (is_closed() && (both_closed() || either_is(State::reset) || either_is(State::inactive))) return true;
  return ends_[0].state == State::inactive && ends_[1].state == State::inactive;
}

}  // namespace tcpwhy::compat::zeek
